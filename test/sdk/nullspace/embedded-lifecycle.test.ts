/** Lifecycle streams and subscriptions against the embedded control plane, over connections that are cut. */
import fc from "fast-check";
import type { Local } from "../../../local/src/start-local";
import { NullspaceClient } from "../../../sdk/src/nullspace/client";
import type { LifecycleEvent } from "../../../sdk/src/nullspace/wire";
import { startTestLocal } from "../../local/dedalus/control-plane";
import { all, failureOf } from "./client-to";
import { CuttingProxy } from "./cutting-proxy";

let local: Local;
let proxy: CuttingProxy;
/** Straight to the control plane: what it does is never cut. */
let direct: NullspaceClient;
let client: NullspaceClient;
beforeAll(async () => {
  local = await startTestLocal();
  proxy = await CuttingProxy.before(local.nullspace);
  direct = new NullspaceClient({ apiKey: local.apiKey, baseUrl: local.nullspace });
  client = new NullspaceClient({ apiKey: local.apiKey, baseUrl: proxy.url });
});
afterAll(async () => {
  await client.close();
  await direct.close();
  await proxy[Symbol.asyncDispose]();
  await local.close();
});
afterEach(() => {
  proxy.cuts = [];
});

const idsOf = (events: LifecycleEvent[]): string[] => events.map(({ id }) => id);

/** Makes a machine and ends it; answers its last event. */
async function life(): Promise<{ id: string; last: LifecycleEvent }> {
  const { id } = await direct.machines.create({ timeoutMs: 3_600_000 });
  await direct.machines.delete(id);
  const last = (await direct.lifecycle.listForMachine(id, { limit: 1 }).page()).events[0];
  if (last === undefined) throw new Error("a life without events");
  return { id, last };
}

/** The stream can be read further. */
async function upTo(last: string, stream: AsyncGenerator<LifecycleEvent, never>): Promise<LifecycleEvent[]> {
  const seen: LifecycleEvent[] = [];
  while (seen.at(-1)?.id !== last) seen.push((await stream.next()).value);
  return seen;
}

test("wherever its connections are cut, a stream brings each event once and in order", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 6_000 }), { maxLength: 6 }),
      fc.integer({ min: 1, max: 4 }),
      fc.boolean(),
      async (cuts, lives, liveOnly) => {
        const { last: before } = await life();
        await using stream = client.lifecycle.stream(liveOnly ? { liveOnly } : { afterEventId: before.id });
        let isThere = false;
        const reading = stream.next().finally(() => (isThere = true));
        // A live stream says by its first event that it listens.
        while (!isThere) await life();
        const { value: first } = await reading;
        proxy.cuts = [...cuts];
        proxy.cut();
        let last = first;
        for (let n = 0; n < lives; n++) ({ last } = await life());
        const seen = await upTo(last.id, stream);
        proxy.cuts = [];
        expect(idsOf(seen)).toEqual(idsOf(await all(direct.lifecycle.listAfter(first))));
        if (liveOnly) return;
        expect([first.id, ...idsOf(seen)]).toEqual(idsOf(await all(direct.lifecycle.listAfter(before))));
      },
    ),
    { numRuns: 10 },
  );
});

test("more is missed than a replay holds, and nothing of it is lost", async () => {
  const { last: before } = await life();
  await using stream = client.lifecycle.stream({ afterEventId: before.id, replayLimit: 2 });
  const { last } = await life();
  const seen = await upTo(last.id, stream);
  proxy.cuts = [100];
  proxy.cut();
  for (let n = 0; n < 10; n++) await life();
  const { last: end } = await life();
  seen.push(...(await upTo(end.id, stream)));
  expect(idsOf(seen)).toEqual(idsOf(await all(direct.lifecycle.listAfter(before))));
});

test("filters hold over cuts, on the account's socket and on the machine's own", async () => {
  const { id } = await direct.machines.create({ timeoutMs: 3_600_000, metadata: { run: "one" } });
  await using own = client.lifecycle.streamForMachine(id, { status: "succeeded" });
  await using account = client.lifecycle.stream({ machineId: id, operation: "hibernate" });
  expect((await own.next()).value).toMatchObject({ operation: "create", status: "succeeded" });
  const hibernating = account.next();
  await direct.machines.hibernate(id);
  expect((await hibernating).value).toMatchObject({ operation: "hibernate", status: "requested" });
  proxy.cut();
  await life();
  await direct.machines.delete(id);
  const operations = (await all(takeTwo(own))).map(({ operation, machineId }) => [operation, machineId]);
  expect(operations).toEqual([
    ["hibernate", id],
    ["destroy", id],
  ]);
  expect((await account.next()).value).toMatchObject({ operation: "hibernate", status: "succeeded" });
});

test("a subscription connects again, calls back in order, and stops", async () => {
  const { last: before } = await life();
  const seen: string[] = [];
  const errors: unknown[] = [];
  const reached = Promise.withResolvers<void>();
  const awaited: { id?: string | undefined } = {};
  const subscription = client.lifecycle.subscribe({
    afterEventId: before.id,
    onEvent: ({ id }) => {
      seen.push(id);
      if (id === awaited.id) reached.resolve();
    },
    onError: (error) => errors.push(error),
  });
  await life();
  proxy.cut();
  const { id } = await direct.machines.create({ timeoutMs: 3_600_000 });
  proxy.cut();
  const history = await all(direct.lifecycle.listAfter(before));
  awaited.id = history.at(-1)?.id;
  if (seen.at(-1) === awaited.id) reached.resolve();
  await reached.promise;
  await subscription.stop();
  await direct.machines.delete(id);
  expect(seen).toEqual(idsOf(history));
  expect(errors).toEqual([]);
});

test("an event that the service does not know ends the stream with a typed error", async () => {
  const unknown = client.lifecycle.since("00000000-0000-4000-8000-000000000000");
  const error = await failureOf(unknown.next());
  expect(error).toMatchObject({ name: "NotFoundError", message: expect.stringContaining("event") as string });
});

async function* takeTwo(stream: AsyncGenerator<LifecycleEvent>): AsyncGenerator<LifecycleEvent> {
  for (let n = 0; n < 2; n++) yield (await stream.next()).value as LifecycleEvent;
}
