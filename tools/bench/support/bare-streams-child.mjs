/** Event streams by `node:http` alone: what a stream costs before anybody does anything with it. */
import { once } from "node:events";
import { createServer } from "node:http";
import { answer, openFilesLimit, residentBytes } from "./helper-process.mjs";

const open = new Set();
const server = createServer((_request, response) => {
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.write("event: status\nid: 1\ndata: {}\n\n");
  open.add(response);
  response.once("close", () => open.delete(response));
});

const requests = {
  async start() {
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const dedalus = `http://127.0.0.1:${String(server.address().port)}/dedalus`;
    return { dedalus, apiKey: "none", files: openFilesLimit() };
  },
  memory: residentBytes,
};

answer(requests, () => server.closeAllConnections());
