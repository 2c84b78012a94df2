/** The monitor of a scripted service. */
import { monitorMachines, type MonitorItem } from "../../../sdk/src/nullspace/monitor";
import { rawOf, socketServer, type SocketServer } from "../socket-server";
import { failureOf, wireMachine } from "./client-to";
import { contextOf, key, type TestContext } from "./exec-client";

const open: AsyncDisposable[] = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each[Symbol.asyncDispose]();
});

type Frames = (object | string)[];

/** Each connection but the last one is cut after its frames. */
async function serve(
  ...connections: Frames[]
): Promise<{ fake: SocketServer; asked: unknown[]; context: TestContext }> {
  const asked: unknown[] = [];
  const fake = await socketServer({
    socket: (ws, count) =>
      ws.once("message", (data: Buffer) => {
        const { id, ...rest } = JSON.parse(data.toString()) as { id: string };
        asked.push(rest);
        for (const frame of connections[count - 1] ?? [])
          ws.send(typeof frame === "string" ? frame : JSON.stringify({ id, ...frame }));
        if (count < connections.length) rawOf(ws).end();
      }),
  });
  const context = contextOf(fake.url);
  open.push(fake, context);
  return { fake, asked, context };
}

async function take(count: number, items: AsyncGenerator<MonitorItem, never>): Promise<MonitorItem[]> {
  const seen: MonitorItem[] = [];
  while (seen.length < count) seen.push((await items.next()).value);
  return seen;
}

const snapshot = { type: "monitor_snapshot", machines: [wireMachine("mch_1")] };
const metrics = {
  ...{ timestamp: "2026-05-12T00:00:00.000Z", cpu_percent: 12.5, cpu_count: 2 },
  ...{ mem_used_bytes: 1, mem_total_bytes: 2, disk_used_bytes: 3, disk_total_bytes: 4 },
  ...{ network_rx_bytes: 5, network_tx_bytes: 6 },
};
const everything = [
  snapshot,
  { type: "monitor_weather" },
  { type: "monitor_update", machine_id: "mch_2", machine: wireMachine("mch_2", { status: "paused" }) },
  { type: "monitor_metrics", machine_id: "mch_1", metrics },
  { type: "monitor_processes", machine_id: "mch_1", processes: [{ pid: 7, command: "a b", running: true }] },
  { type: "monitor_error", message: "mch_2 cannot be measured" },
  { type: "monitor_update", machine_id: "mch_2", machine: null, removed: true },
];

test("subscribes in the wire's words, and says all that can come", async () => {
  const { fake, asked, context } = await serve(everything);
  const items = monitorMachines(context, { intervalMs: 250, includeProcesses: true });
  const machineId = "mch_1";
  expect(await take(6, items)).toMatchObject([
    { kind: "machines", machines: [{ id: machineId, status: "running" }] },
    { kind: "machine", machineId: "mch_2", machine: { status: "paused" } },
    { kind: "metrics", machineId, metrics: { cpuPercent: 12.5, memUsedBytes: 1, networkTxBytes: 6 } },
    { kind: "processes", machineId, processes: [{ pid: 7, running: true }] },
    { kind: "error", message: "mch_2 cannot be measured" },
    { kind: "removed", machineId: "mch_2" },
  ]);
  await items.return(undefined as never);
  expect(asked).toEqual([{ type: "monitor_subscribe", interval_ms: 250, include_processes: true }]);
  expect(fake.upgrades).toEqual(["/v1/monitor/ws"]);
});

test.each(everything.map((_, at) => at + 1))(
  "cut after %d frames, what came is handed on, and then all machines come anew",
  async (after) => {
    const { context } = await serve(everything.slice(0, after), [], [snapshot]);
    const came = after < 2 ? after : after - 1;
    const items = await take(came + 1, monitorMachines(context, {}));
    expect(items.at(-1)).toMatchObject({ kind: "machines" });
  },
);

test("what is refused is an error with the service's code and without the key", async () => {
  const { context } = await serve([{ type: "error", message: `not with ${key}`, code: "UNAUTHORIZED" }]);
  const error = await failureOf(monitorMachines(context, {}).next());
  expect(error).toMatchObject({ name: "AuthError", code: "unauthorized" });
  expect(error.message).not.toContain(key);
});

test.each([
  "{",
  "[]",
  '{"type":"monitor_metrics"}',
  '{"type":"error"}',
  { type: "error", message: "the end" },
])("what came before %j is handed on, then it is told", async (bad) => {
  const { context } = await serve([snapshot, bad]);
  const items = monitorMachines(context, {});
  expect(await take(1, items)).toMatchObject([{ kind: "machines" }]);
  const code = typeof bad === "string" ? "unreadable_frame" : "websocket_error";
  expect(await failureOf(items.next())).toMatchObject({ code });
});

test("leaving the loop closes the connection, its signal ends it with the reason", async () => {
  const { context, fake } = await serve([snapshot], [snapshot]);
  for await (const item of monitorMachines(context, {})) if (item.kind === "machines") break;
  const stop = new AbortController();
  const items = monitorMachines(context, { signal: stop.signal });
  await take(1, items);
  stop.abort(new Error("enough"));
  expect(await failureOf(items.next())).toMatchObject({ message: "enough" });
  expect(fake.upgrades).toHaveLength(2);
});
