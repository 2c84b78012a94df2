/** Watching and creating on a hosted service where something keeps the events away, or comes in another order. */
import { NullspaceClient } from "@pulumi-machines/sdk";
import { NullspaceControlPlane } from "../../../provider/src/controlplane/nullspace";
import { RefusedError, type MachineView } from "../../../provider/src/controlplane/port";
import { eventually } from "../../e2e/support/run";
import { all, keyed, never, startEmbedded } from "./embedded";
import { HostedProxy } from "./hosted-proxy";

jest.setTimeout(60_000);
const options = { signal: never };
const size = { vcpu: 1, memoryMiB: 256, storageGiB: 1 };
const lifecycle = /lifecycle/;
const socketsOnly = /\/lifecycle\/ws/;
const oneMachine = /\/v1\/machines\/mch_[^/]+$/;

let local: Awaited<ReturnType<typeof startEmbedded>>;
let client: NullspaceClient;
let proxy: HostedProxy;
let plane: NullspaceControlPlane;
let keys = 0;
const tagged = () => ({ ...size, tags: { "pulumi:key": `watch-${String((keys += 1))}` } });

beforeAll(async () => {
  local = await startEmbedded("null");
  client = new NullspaceClient({ baseUrl: local.nullspace, apiKey: local.apiKey });
});
afterAll(async () => {
  await client.close();
  await local.close();
});
beforeEach(async () => {
  proxy = await HostedProxy.before(local.nullspace);
  plane = new NullspaceControlPlane({ backend: "nullspace", baseUrl: proxy.url, apiKey: local.apiKey });
});
afterEach(async () => {
  local.faults.replace({ rules: [] });
  await plane.close();
  await proxy[Symbol.asyncDispose]();
});

const slowStart = (stallMs: number) =>
  local.faults.replace({ rules: [{ on: "start", after: 0, times: 1, stallMs }] });

/** A machine that takes so long to start, whose create still waits. */
async function starting(stallMs: number): Promise<string> {
  slowStart(stallMs);
  const metadata = { number: String((keys += 1)) };
  client.machines.create({ metadata }).catch(() => undefined);
  return eventually("the machine", async () => {
    for await (const { id } of client.machines.list({ metadata })) return id;
    return undefined;
  });
}

const lastOf = async (id: string): Promise<MachineView | undefined> =>
  (await all(plane.watchMachine(id, options))).at(-1);

test.each([
  ["keeps no history", lifecycle, 501],
  ["lets this key read no history", lifecycle, 403],
  ["has a history and no stream of it", socketsOnly, 501],
  ["is behind something that lets no WebSocket through", socketsOnly, 404],
  ["fails whenever it is asked for its history", lifecycle, 500],
])("a service that %s is read again and again", async (_what, missing, status) => {
  proxy.missing = missing;
  proxy.missingStatus = status;
  const id = await starting(1_000);
  const views = await all(plane.watchMachine(id, options));
  expect(views.map(({ phase }) => phase)).toEqual(["starting", "running"]);
  expect((await plane.createMachine(tagged(), keyed())).phase).toBe("running");
});

test("while nothing happens, nothing is asked", async () => {
  slowStart(3_000);
  const { id } = await plane.createMachine(tagged(), keyed());
  const watched = all(plane.watchMachine(id, options));
  await eventually("a WebSocket", () => proxy.open > 0 || undefined);
  await watched;
  // The place in the log, the create, its name, no status stream, and a look at the beginning and at the end.
  expect(proxy.asked.length).toBeLessThanOrEqual(8);
});

test("an event that comes before its machine can be read does not lose the machine", async () => {
  slowStart(1_000);
  proxy.hidden = /\/status\/stream$|\/v1\/machines\/mch_[^/]+$/;
  const view = await plane.createMachine(tagged(), keyed());
  expect(proxy.asked.some((each) => oneMachine.test(each))).toBe(true);
  expect(view.phase).toBe("running");
});

test("a signal ends a create and a watch whose stream of events never comes", async () => {
  proxy.silent = lifecycle;
  const id = await starting(5_000);
  for (const work of [
    (signal: AbortSignal) => plane.createMachine(tagged(), { ...keyed(), signal }),
    (signal: AbortSignal) => all(plane.watchMachine(id, { signal })),
  ]) {
    const stop = new AbortController();
    proxy.asked.length = 0;
    const ended = expect(work(stop.signal)).rejects.toThrow("enough");
    await eventually("its question", () => proxy.asked.some((each) => lifecycle.test(each)) || undefined);
    stop.abort(new Error("enough"));
    await ended;
    await plane.close();
    plane = new NullspaceControlPlane({ backend: "nullspace", baseUrl: proxy.url, apiKey: local.apiKey });
  }
});

test("a plane that is closed ends who watches", async () => {
  const id = await starting(20_000);
  const seen: string[] = [];
  const watched = (async () => {
    for await (const view of plane.watchMachine(id, options)) seen.push(view.phase);
  })();
  const ended = expect(watched).rejects.toMatchObject({ name: RefusedError.name, code: "client_closed" });
  await eventually("a WebSocket", () => (proxy.open > 0 && seen.length > 0) || undefined);
  await plane.close();
  await ended;
  await eventually("its end", () => proxy.open === 0 || undefined);
});

test("a machine that is in error says why, as the history has it; without one only that", async () => {
  local.faults.replace({
    rules: [
      {
        ...{ on: "start", after: 0, times: 1 },
        fail: { reason: "no_host", lastError: "no host has room", retryable: true },
      },
    ],
  });
  const { id } = await plane.createMachine(tagged(), keyed());
  await lastOf(id);
  const other = new NullspaceControlPlane({
    backend: "nullspace",
    baseUrl: proxy.url,
    apiKey: local.apiKey,
  });
  expect(await other.getMachine(id, options)).toMatchObject({
    phase: "failed",
    reason: "no_host",
    lastError: "no host has room",
  });
  proxy.missing = lifecycle;
  const blind = new NullspaceControlPlane({
    backend: "nullspace",
    baseUrl: proxy.url,
    apiKey: local.apiKey,
  });
  expect(await blind.describeMachine(id, options)).toMatchObject({ phase: "failed", reason: "" });
  await Promise.all([other.close(), blind.close()]);
});

test("a machine that was healed and failed again tells the new failure", async () => {
  const fail = (reason: string) =>
    local.faults.replace({
      rules: [
        { ...{ on: "start", after: 0, times: 1 }, fail: { reason, lastError: reason, retryable: false } },
      ],
    });
  fail("first");
  const { id, reason } = await plane.createMachine(size, keyed());
  expect(reason).toBe("first");
  await client.machines.resume(id);
  expect(await plane.getMachine(id, options)).toMatchObject({ phase: "running", reason: "" });
  await client.machines.hibernate(id);
  fail("second");
  await client.machines.resume(id).catch(() => undefined);
  expect(await plane.getMachine(id, options)).toMatchObject({ phase: "failed", reason: "second" });
});
