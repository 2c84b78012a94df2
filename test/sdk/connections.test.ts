/** How many connections a client holds at once. */
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { DedalusClient } from "../../sdk/src/dedalus/client";
import { UsageError } from "../../sdk/src/errors";

let server: Server;
let url: string;
let most = 0;
const waiting: ServerResponse[] = [];
const machine = {
  ...{ machine_id: "dm-1", vcpu: 1, memory_mib: 1, storage_gib: 1, desired_state: "running" },
  status: { phase: "starting", reason: "", retryable: false, revision: "1" },
};

beforeEach(async () => {
  most = 0;
  const open = new Set<unknown>();
  waiting.length = 0;
  server = createServer((request, answer) => {
    if (request.url?.endsWith("/status/stream")) {
      answer.writeHead(200, { "content-type": "text/event-stream" });
      answer.write(`id: 1\nevent: status\ndata: ${JSON.stringify(machine)}\n\n`);
      return;
    }
    waiting.push(answer);
    // Each is answered when the next has come, or nobody else can come.
    setImmediate(() => {
      waiting.shift()?.setHeader("content-type", "application/json").end(JSON.stringify(machine));
    });
  });
  server.on("connection", (socket) => {
    most = Math.max(most, open.add(socket).size);
    socket.on("close", () => open.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

test("many requests share as many connections as are allowed, and all are answered", async () => {
  await using client = new DedalusClient({ baseUrl: url, apiKey: "k", maxConnections: 3 });
  const answers = await Promise.all(Array.from({ length: 40 }, () => client.machines.get("dm-1")));
  expect(answers).toHaveLength(40);
  expect(most).toBeLessThanOrEqual(3);
});

test("streams that stay open do not keep a request waiting, and more streams wait for one that ends", async () => {
  await using client = new DedalusClient({ baseUrl: url, apiKey: "k", maxConnections: 2 });
  const first = Array.from({ length: 2 }, () => client.machines.watch("dm-1"));
  for (const stream of first) expect((await stream.next()).done).toBe(false);
  const third = client.machines.watch("dm-1");
  const view = third.next();
  expect((await client.machines.get("dm-1")).machineId).toBe("dm-1");
  expect(most).toBe(3);
  await first[0]?.return();
  expect((await view).done).toBe(false);
  await Promise.all([first[1]?.return(), third.return()]);
});

test("a number that is none is refused", () => {
  expect(() => new DedalusClient({ baseUrl: url, apiKey: "k", maxConnections: 0 })).toThrow(UsageError);
});
