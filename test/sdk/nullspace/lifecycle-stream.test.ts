import fc from "fast-check";
import { AuthError, MachinesError } from "../../../sdk/src/errors";
import { streamLifecycle, type LifecycleStreamParams } from "../../../sdk/src/nullspace/lifecycle-stream";
import { subscribeLifecycle } from "../../../sdk/src/nullspace/lifecycle-subscription";
import type { LifecycleEvent } from "../../../sdk/src/nullspace/wire";
import { realDeps } from "../../../sdk/src/deps";
import { refusal } from "../socket-server";
import { contextOf, type TestContext } from "./exec-client";
import { fakeLog, idOf, type FakeLog, type Log } from "./lifecycle-server";
import { virtualDeps } from "./virtual-time";

const open: AsyncDisposable[] = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each[Symbol.asyncDispose]();
});
const keep = <T extends AsyncDisposable>(it: T): T => (open.push(it), it);

async function follow(log: Log): Promise<{ fake: FakeLog; context: TestContext; stream: Stream }> {
  const fake = keep(await fakeLog(log));
  const context = keep(contextOf(fake.url));
  return { fake, context, stream: (params = {}) => streamLifecycle({ context }, params) };
}
type Stream = (params?: LifecycleStreamParams) => AsyncGenerator<LifecycleEvent, never>;

/** Numbers of the events, up to one of them. */
async function upTo(last: number, events: AsyncGenerator<LifecycleEvent, unknown>): Promise<number[]> {
  const seen: number[] = [];
  for await (const { metadata } of events) {
    seen.push(metadata["at"] as number);
    if (seen.at(-1) === last) break;
  }
  return seen;
}
const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, at) => from + at);
const failureOf = async (work: Promise<unknown>): Promise<Error & { code?: string }> =>
  work.then(
    () => Promise.reject(new Error("it did not fail")),
    (error: Error) => error,
  );

test("replays what was, goes on live, and asks no history where nothing broke", async () => {
  const { fake, stream } = await follow({ before: 5, total: 12 });
  expect(await upTo(11, stream())).toEqual(range(0, 11));
  expect(fake.subscriptions).toEqual([{ type: "subscribe" }]);
  expect(fake.requests).toEqual([]);
  expect(fake.upgrades).toEqual(["/v1/lifecycle/ws"]);
});

test("asks for every filter in its first frame", async () => {
  const { fake, stream } = await follow({
    before: 1,
    total: 1,
    event: () => ({ metadata: { at: 0, run: "a" } }),
  });
  const filter = {
    machineId: "mch_1",
    snapshotId: "snap_1",
    operation: "create",
    status: "failed",
    audience: "customer",
    metadata: { run: "a" },
  } as const;
  await upTo(0, stream({ ...filter, replayLimit: 7, liveOnly: false }));
  expect(fake.subscriptions).toEqual([
    {
      type: "subscribe",
      machine_id: "mch_1",
      snapshot_id: "snap_1",
      operation: "create",
      status: "failed",
      audience: "customer",
      metadata: { run: "a" },
      replay_limit: 7,
      live_only: false,
    },
  ]);
});

test("follows one machine on that machine's own socket", async () => {
  const { fake, context } = await follow({ before: 3, total: 3 });
  expect(await upTo(2, streamLifecycle({ context, machineId: "mch_1" }, {}))).toEqual([0, 1, 2]);
  expect(fake.upgrades).toEqual(["/v1/machines/mch_1/lifecycle/ws"]);
  expect(fake.subscriptions).toEqual([{ type: "subscribe" }]);
});

test("reads the older wording", async () => {
  const event = () => ({ machine_id: undefined, sandbox_id: "sb_1", source_sandbox_id: "sb_0" });
  const { stream } = await follow({ before: 1, total: 1, event });
  const { value } = await stream().next();
  expect(value).toMatchObject({ machineId: "sb_1", sourceMachineId: "sb_0" });
});

describe.each(["all", 2, 0] as const)("a stream that is cut (the service then replays: %s)", (replays) => {
  const places = range(0, 8).flatMap((after) =>
    [0, 5].flatMap((away) => [false, true].map((within) => ({ after, away, within }))),
  );

  test.each(places)(
    "after $after frames (within one: $within), $away events missed: none is lost, none repeated",
    async (cut) => {
      const { fake, stream } = await follow({ before: 3, total: 20, cuts: [cut], replays });
      expect(await upTo(19, stream())).toEqual(range(0, 19));
      expect(fake.subscriptions.length).toBeGreaterThanOrEqual(cut.after > 8 ? 1 : 2);
    },
  );

  test("with ten times as many events missed as one replay holds", async () => {
    const { stream } = await follow({
      before: 3,
      total: 1_200,
      cuts: [{ after: 6, away: 1_000 }],
      replays,
      perMoment: 7,
    });
    expect(await upTo(1_199, stream())).toEqual(range(0, 1_199));
  });

  test("anywhere, any number of times", async () => {
    const cut = fc.record({
      after: fc.integer({ min: 0, max: 9 }),
      away: fc.integer({ min: 0, max: 12 }),
      within: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(cut, { maxLength: 5 }),
        fc.integer({ min: 1, max: 9 }),
        fc.boolean(),
        async (cuts, perMoment, isPatient) => {
          await using fake = await fakeLog({ before: 4, total: 60, cuts, replays, perMoment });
          // Without waiting the history is asked at once; with a real second the replay comes first.
          const deps = virtualDeps();
          await using context = contextOf(
            fake.url,
            {},
            isPatient
              ? {
                  ...deps,
                  sleep: (ms, signal) => (ms === 1_000 ? realDeps.sleep(20, signal) : deps.sleep(ms, signal)),
                }
              : deps,
          );
          expect(await upTo(59, streamLifecycle({ context }, {}))).toEqual(range(0, 59));
        },
      ),
      { numRuns: 40 },
    );
  });
});

test("live only begins with what comes, and misses nothing of it over a cut", async () => {
  const { fake, stream } = await follow({
    before: 10,
    total: 30,
    cuts: [
      { after: 1, away: 4 },
      { after: 3, away: 4 },
    ],
  });
  expect(await upTo(29, stream({ liveOnly: true }))).toEqual(range(10, 29));
  expect(fake.subscriptions.map(({ live_only, after_event_id }) => [live_only, after_event_id])).toEqual([
    [true, undefined],
    [false, idOf(9)],
    [false, expect.any(String)],
  ]);
});

test("goes on after an event that the caller names, also when it is of another machine or filter", async () => {
  const event = (at: number) => ({ machine_id: at % 3 ? "mch_1" : "mch_2" });
  const { stream } = await follow({ before: 40, total: 40, replays: 2, perMoment: 9, event });
  const wanted = (from: number) => range(from, 39).filter((at) => at % 3 !== 0);
  expect(await upTo(38, stream({ machineId: "mch_1", afterEventId: idOf(12) }))).toEqual(wanted(13));
  expect(await upTo(38, stream({ machineId: "mch_1", afterEventId: idOf(13) }))).toEqual(wanted(14));
});

test("after an event that the service does not know ends with a typed error", async () => {
  const { stream } = await follow({ before: 3, total: 3 });
  const error = await failureOf(stream({ afterEventId: idOf(99) }).next());
  expect(error).toBeInstanceOf(MachinesError);
  expect(error).toMatchObject({ code: "event_not_found" });
});

test("an error frame ends it for good, after what came before", async () => {
  const extra = [
    { type: "surprise" },
    {
      type: "event",
      event: {
        id: "e",
        occurred_at: "2026-01-01T00:00:00Z",
        operation: "defrost",
        status: "odd",
        metadata: { at: 77 },
      },
    },
    { type: "error", message: "no more" },
  ];
  const { fake, stream } = await follow({ total: 0, extra });
  const events = stream();
  expect((await events.next()).value).toMatchObject({ operation: "defrost", status: "odd" });
  expect(await failureOf(events.next())).toMatchObject({ code: "websocket_error", retryable: false });
  expect(fake.upgrades).toHaveLength(1);
});

test("a key that is refused later ends it, a service that is busy does not", async () => {
  const refuse = (count: number) => (count === 2 || count === 3 ? refusal(503, "") : undefined);
  const busy = await follow({ before: 3, total: 9, cuts: [{ after: 2 }], script: { refuse } });
  expect(await upTo(8, busy.stream())).toEqual(range(0, 8));
  expect(busy.context.deps.waits.filter((ms) => ms !== 1_000)).toEqual([188, 375, 750]);
  const revoked = (count: number) =>
    count === 2 ? refusal(401, { error: "no", code: "unauthorized" }) : undefined;
  const gone = await follow({ before: 3, total: 9, cuts: [{ after: 2 }], script: { refuse: revoked } });
  expect(await failureOf(upTo(8, gone.stream()))).toBeInstanceOf(AuthError);
});

test("a first connection that is refused is told, after its tries", async () => {
  const { fake, stream } = await follow({ total: 0, script: { refuse: () => refusal(503, "") } });
  expect(await failureOf(stream().next())).toMatchObject({ status: 503 });
  expect(fake.upgrades).toHaveLength(3);
});

test("without any history it trusts the service's replay, and says so in the log", async () => {
  const { context, stream } = await follow({
    before: 3,
    total: 20,
    cuts: [{ after: 4, away: 5 }],
    historyStatus: 501,
  });
  expect(await upTo(19, stream())).toEqual(range(0, 19));
  expect(context.deps.lines.join("\n")).toContain("cannot tell what was missed");
});

test("is ended by its signal while it waits, and leaves no connection", async () => {
  const { stream } = await follow({ before: 1, total: 1 });
  const controller = new AbortController();
  const events = stream({ signal: controller.signal });
  await events.next();
  const waiting = failureOf(events.next());
  controller.abort(new Error("enough"));
  expect(await waiting).toMatchObject({ message: "enough" });
});

test("waits for a slow reader, and loses nothing for it", async () => {
  const { stream } = await follow({ before: 2_000, total: 2_000 });
  const seen: number[] = [];
  for await (const { metadata } of stream({ replayLimit: 2_000 })) {
    seen.push(metadata["at"] as number);
    if (seen.length % 500 === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    if (seen.length === 2_000) break;
  }
  expect(seen).toEqual(range(0, 1_999));
});

describe("a subscription", () => {
  test("calls back in order, over a cut, and stops", async () => {
    const { fake, stream } = await follow({ before: 3, total: 20, cuts: [{ after: 4, away: 5 }] });
    const seen: number[] = [];
    const errors: unknown[] = [];
    let reached = (): void => undefined;
    const all = new Promise<void>((resolve) => (reached = resolve));
    const subscription = subscribeLifecycle(stream, {
      onEvent: async ({ metadata }) => {
        await new Promise(setImmediate);
        seen.push(metadata["at"] as number);
        if (metadata["at"] === 7) throw new Error("a mistake of the caller's");
        if (metadata["at"] === 19) reached();
      },
      onError: (error) => errors.push(error),
    });
    await all;
    await subscription.stop();
    expect(seen).toEqual(range(0, 19));
    expect(errors).toMatchObject([{ message: "a mistake of the caller's" }]);
    expect(fake.upgrades).toHaveLength(2);
  });

  test("tells what ended it, once", async () => {
    const { stream } = await follow({
      total: 0,
      script: { refuse: () => refusal(401, { error: "no", code: "unauthorized" }) },
    });
    const errors: unknown[] = [];
    await subscribeLifecycle(stream, { onEvent: () => undefined, onError: (error) => errors.push(error) })
      .ended;
    expect(errors).toMatchObject([{ code: "unauthorized" }]);
  });
});
