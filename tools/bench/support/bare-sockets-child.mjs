/** WebSockets by `ws` alone: what one costs before anybody does anything with it. */
import { once } from "node:events";
import { WebSocketServer } from "ws";
import { answer, openFilesLimit, residentBytes } from "./helper-process.mjs";

const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false });
// Before anything is asked: by then it may have happened.
const listening = once(server, "listening");
server.on("connection", (socket) => {
  socket.once("message", () => socket.send('{"type":"subscribed"}'));
});

const requests = {
  async start() {
    await listening;
    const nullspace = `http://127.0.0.1:${String(server.address().port)}`;
    return { nullspace, apiKey: "none", files: openFilesLimit() };
  },
  memory: residentBytes,
};

answer(requests, () => {
  for (const client of server.clients) client.terminate();
  server.close();
});
