/** The lifecycle stream: what it replays, what it tells live, and that neither loses nor repeats an event. */
import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { lifecycleOperations, lifecycleStatuses } from "@pulumi-machines/sdk/nullspace/rules";
import { type Local, startLocal } from "../../../../local/src/start-local";
import { Api, startTestLocal } from "../control-plane";
import { type Frame, TestSocket } from "./socket-client";

let local: Local;
let api: Api;
let ids: string[];
let snapshot: string;
/** The log as the tests of what is replayed find it, oldest first. */
let log: Frame[];

beforeAll(async () => {
  local = await startTestLocal();
  api = new Api(local);
  ids = [
    await api.machine({ metadata: { run: "a", tags: { deep: [1, 2] } } }),
    await api.machine({ metadata: { run: "b" } }),
    await api.machine(),
  ];
  const [first = "", second = "", third = ""] = ids;
  await api.ask("POST", `/v1/machines/${first}/hibernate`);
  await api.ask("POST", `/v1/machines/${first}/resume`);
  snapshot = String((await api.ask("POST", `/v1/machines/${second}/snapshots`)).json["id"]);
  ids.push(String((await api.ask("POST", `/v1/machines/${second}/fork`)).json["id"]));
  const fail = { reason: "host_broken", lastError: "no disk", retryable: false };
  local.faults.replace({ rules: [{ on: "start", after: 0, times: 1, fail }] });
  await api.ask("POST", "/v1/machines", { body: {} });
  await api.ask("DELETE", `/v1/machines/${third}`);
  log = await history(api);
});
afterAll(() => local.close());

/** The whole log by REST, oldest first. */
async function history(of: Api, query = ""): Promise<Frame[]> {
  const events: Frame[] = [];
  for (;;) {
    const path = `/v1/lifecycle/events?order=asc&limit=100&offset=${String(events.length)}${query}`;
    const { json } = await of.ask("GET", path);
    events.push(...(json["events"] as Frame[]));
    if (json["has_more"] !== true) return events;
  }
}

const open = (machine?: string, of = local): Promise<TestSocket> =>
  TestSocket.open(of, `/v1/${machine === undefined ? "" : `machines/${machine}/`}lifecycle/ws`);

/** Subscribes; answers the first frame. */
const subscribe = (socket: TestSocket, members: Frame = {}): Promise<Frame> =>
  socket.ask({ type: "subscribe", ...members });

async function take(socket: TestSocket, count: number): Promise<Frame[]> {
  const events: Frame[] = [];
  while (events.length < count) {
    const frame = await socket.next();
    if (frame?.["type"] !== "event") throw new Error(`no event: ${JSON.stringify(frame)}`);
    events.push(frame["event"] as Frame);
  }
  return events;
}

const mark = (event: Frame): string => `${String(event["operation"])} ${String(event["status"])}`;

/** Changes a machine's time to live: one event. */
const change = async (id: string | undefined, of = api): Promise<void> => {
  const { status } = await of.ask("POST", `/v1/machines/${String(id)}/timeout`, {
    body: { timeout_ms: 3_600_000 },
  });
  expect(status).toBe(200);
};

/** What comes before the next change, which only `machine` makes. */
async function untilChangeOf(socket: TestSocket, machine: string | undefined): Promise<Frame[]> {
  const { length } = await history(api);
  await change(machine);
  const { id } = (await history(api))[length] ?? {};
  const frames = await socket.until(({ event }) => (event as Frame | undefined)?.["id"] === id);
  return frames.slice(0, -1).map(({ event }) => event as Frame);
}

describe("subscribe", () => {
  it("is answered with its filters, as the vendor's client knows it, before any event", async () => {
    await using socket = await open();
    expect(await subscribe(socket)).toEqual({
      ...{ type: "subscribed", subscription: {}, reconnect_mode: "live_only" },
    });
    await using filtered = await open();
    const filters = {
      ...{ machine_id: ids[0], snapshot_id: snapshot, operation: "create", status: "failed" },
      ...{ audience: "customer", replay_limit: 5, metadata: { run: "a" } },
    };
    const nulls = { after_event_id: null, live_only: null };
    expect(await subscribe(filtered, { ...filters, ...nulls })).toEqual({
      ...{ type: "subscribed", subscription: filters, reconnect_mode: "live_only" },
    });
  });

  it("replays the log, oldest first, each event as history has it, and goes on live", async () => {
    await using socket = await open();
    await subscribe(socket);
    expect(await take(socket, log.length)).toEqual(log);
    await change(ids[0]);
    const whole = await history(api);
    expect(await take(socket, whole.length - log.length)).toEqual(whole.slice(log.length));
    log = whole;
  });

  it("replays the newest hundred where nothing else is asked for", async () => {
    await using other = await startTestLocal();
    const its = new Api(other);
    const id = await its.machine();
    for (let n = 0; n < 110; n++) await change(id, its);
    const whole = await history(its);
    await using socket = await open(undefined, other);
    await subscribe(socket);
    expect(await take(socket, 100)).toEqual(whole.slice(-100));
    await change(id, its);
    expect(await take(socket, 1)).toEqual((await history(its)).slice(-1));
  });

  it.each([0, 1, 7])("with a replay limit of %i begins with that many events", async (limit) => {
    await using socket = await open();
    const whole = await history(api);
    await subscribe(socket, { replay_limit: limit });
    expect(await untilChangeOf(socket, ids[0])).toEqual(limit === 0 ? [] : whole.slice(-limit));
  });

  it("with live_only tells of nothing before it", async () => {
    await using socket = await open();
    await subscribe(socket, { live_only: true, replay_limit: 50 });
    expect(await untilChangeOf(socket, ids[0])).toEqual([]);
  });

  it("after an event brings all that came since, also more than the replay limit", async () => {
    const whole = await history(api);
    for (const limit of [undefined, 0, 3]) {
      await using socket = await open();
      await subscribe(socket, {
        after_event_id: whole[4]?.["id"],
        ...(limit === undefined ? {} : { replay_limit: limit }),
      });
      expect(await take(socket, whole.length - 5)).toEqual(whole.slice(5));
    }
  });

  it("takes the id of an event that its filters do not show, and in capitals", async () => {
    const whole = await history(api);
    const [after, rest] = [whole[1], whole.slice(2)];
    await using socket = await open();
    await subscribe(socket, {
      after_event_id: String(after?.["id"]).toUpperCase(),
      operation: "destroy",
    });
    const destroys = rest.filter(({ operation }) => operation === "destroy");
    expect(destroys.length).toBeGreaterThan(0);
    expect(await take(socket, destroys.length)).toEqual(destroys);
  });

  it("after an event that is not in the log is an error, and the socket can be asked again", async () => {
    await using socket = await open();
    for (const id of [randomUUID(), "evt_1", ""]) {
      const told = await subscribe(socket, { after_event_id: id });
      expect(told).toMatchObject({ type: "error", code: "not_found" });
      expect(told["message"]).toContain("not in the lifecycle log");
    }
    expect(await subscribe(socket, { replay_limit: 0 })).toMatchObject({ type: "subscribed" });
  });

  it("again on the same socket takes the place of the first", async () => {
    await using socket = await open();
    await subscribe(socket, { live_only: true, machine_id: ids[0] });
    await subscribe(socket, { live_only: true, machine_id: ids[1] });
    await change(ids[0]);
    await change(ids[1]);
    expect((await take(socket, 1))[0]).toMatchObject({ machine_id: ids[1] });
    // Two in one go: only what the last one asked for follows its answer.
    socket.send({ type: "subscribe" });
    socket.send({ type: "subscribe", replay_limit: 2 });
    const frames = await socket.until(({ subscription }) =>
      Boolean((subscription as Frame | undefined)?.["replay_limit"]),
    );
    expect(frames.at(-1)).toMatchObject({ type: "subscribed", subscription: { replay_limit: 2 } });
    expect(await take(socket, 2)).toEqual((await history(api)).slice(-2));
    expect(await untilChangeOf(socket, ids[0])).toEqual([]);
  });

  it("refuses what makes no sense, naming the place", async () => {
    await using socket = await open();
    const wrong: [Frame, string][] = [
      [{ live_only: true, after_event_id: log[0]?.["id"] }, "frame.live_only"],
      [{ audience: "internal" }, "frame.audience"],
      [{ operation: "explode" }, "frame.operation"],
      [{ status: "maybe" }, "frame.status"],
      [{ replay_limit: -1 }, "frame.replay_limit"],
      [{ replay_limit: 1e9 }, "frame.replay_limit"],
      [{ metadata: ["run"] }, "frame.metadata"],
      [{ machine_id: 7 }, "frame.machine_id"],
    ];
    for (const [members, place] of wrong) {
      const told = await subscribe(socket, members);
      expect(told).toMatchObject({ type: "error", code: "invalid_request" });
      expect(told["message"]).toContain(place);
    }
    expect(await socket.ask({ type: "unsubscribe" })).toMatchObject({ type: "error" });
  });
});

describe("filters", () => {
  const matches = (event: Frame, asked: Frame): boolean =>
    (asked["operation"] ?? event["operation"]) === event["operation"] &&
    (asked["status"] ?? event["status"]) === event["status"] &&
    (asked["snapshot_id"] === undefined || asked["snapshot_id"] === event["snapshot_id"]) &&
    (asked["machine_id"] === undefined ||
      [event["machine_id"], event["source_machine_id"], event["target_machine_id"]].includes(
        asked["machine_id"],
      )) &&
    Object.entries((asked["metadata"] ?? {}) as Frame).every(
      ([name, value]) => JSON.stringify((event["metadata"] as Frame)[name]) === JSON.stringify(value),
    );

  it("of any kind, with any replay, show exactly the events that fit, once each and in order", async () => {
    const whole = await history(api);
    const asked = fc.record(
      {
        machine_id: fc.constantFrom("mch_none", "x", "", ...ids),
        snapshot_id: fc.constantFrom("snap_none", snapshot),
        operation: fc.constantFrom(...lifecycleOperations),
        status: fc.constantFrom(...lifecycleStatuses),
        metadata: fc.constantFrom(
          {},
          { run: "a" },
          { run: "b" },
          { run: 1 },
          { tags: { deep: [1, 2] } },
          { tags: { deep: [1] } },
        ),
        replay_limit: fc.integer({ min: 0, max: 30 }),
      },
      { requiredKeys: [] },
    );
    const after = fc.option(fc.nat(whole.length - 1), { nil: undefined });
    await using socket = await open();
    await fc.assert(
      fc.asyncProperty(asked, after, async (filters, at) => {
        const from = at === undefined ? {} : { after_event_id: whole[at]?.["id"] };
        const fit = whole.slice(at === undefined ? 0 : at + 1).filter((event) => matches(event, filters));
        const limit = filters.replay_limit ?? 100;
        const wanted = at !== undefined ? fit : limit === 0 ? [] : fit.slice(-limit);
        expect(await subscribe(socket, { ...filters, ...from })).toMatchObject({ type: "subscribed" });
        expect(await take(socket, wanted.length)).toEqual(wanted);
        // The next answer is the next frame: nothing else was told.
        expect(await subscribe(socket, { live_only: true })).toMatchObject({ type: "subscribed" });
      }),
      { numRuns: 150 },
    );
  });

  it("hold live, too, and see a machine as source and as target", async () => {
    await using ofSource = await open();
    await using ofForks = await open();
    await using ofMetadata = await open();
    await subscribe(ofSource, { live_only: true, machine_id: ids[1] });
    await subscribe(ofForks, { live_only: true, operation: "fork", status: "succeeded" });
    await subscribe(ofMetadata, { live_only: true, metadata: { run: "a" } });
    await change(ids[3]);
    const fork = String((await api.ask("POST", `/v1/machines/${String(ids[1])}/fork`)).json["id"]);
    await change(ids[0]);
    const [requested, done] = await take(ofSource, 2);
    expect([requested, done].map((event) => mark(event ?? {}))).toEqual(["fork requested", "fork succeeded"]);
    expect(done).toMatchObject({ machine_id: fork, source_machine_id: ids[1], target_machine_id: fork });
    expect(await take(ofForks, 1)).toEqual([done]);
    expect((await take(ofMetadata, 1))[0]).toMatchObject({ machine_id: ids[0], metadata: { run: "a" } });
  });
});

describe("a machine's own socket", () => {
  it("tells of this machine alone, without being told which", async () => {
    await using socket = await open(ids[0]);
    const whole = await history(api);
    const own = whole.filter((event) => event["machine_id"] === ids[0]);
    expect(await subscribe(socket)).toMatchObject({ subscription: { machine_id: ids[0] } });
    expect(await take(socket, own.length)).toEqual(own);
    await change(ids[1]);
    await change(ids[0]);
    expect((await take(socket, 1))[0]).toMatchObject({ machine_id: ids[0] });
  });

  it("takes its own name, and refuses another machine's", async () => {
    await using socket = await open(ids[0]);
    expect(await subscribe(socket, { machine_id: ids[1] })).toMatchObject({
      ...{ type: "error", code: "invalid_request" },
    });
    expect(await subscribe(socket, { machine_id: ids[0], live_only: true })).toMatchObject({
      type: "subscribed",
    });
  });

  it("outlives its machine", async () => {
    const id = await api.machine();
    await using socket = await open(id);
    await subscribe(socket);
    await api.ask("DELETE", `/v1/machines/${id}`);
    expect((await take(socket, 4)).map(mark)).toEqual([
      "create requested",
      "create succeeded",
      "destroy requested",
      "destroy succeeded",
    ]);
    await using later = await open(id);
    await subscribe(later);
    expect((await take(later, 4)).map(mark).at(-1)).toBe("destroy succeeded");
  });
});

describe("the other dialect", () => {
  it("shows here what it does", async () => {
    await using socket = await open();
    await subscribe(socket, { live_only: true });
    const response = await fetch(`${local.dedalus}/v1/machines`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${local.apiKey}`,
        "content-type": "application/json",
        "idempotency-key": randomUUID(),
      },
      body: JSON.stringify({ vcpu: 0.25, memory_mib: 256, storage_gib: 1 }),
    });
    const { machine_id: id } = (await response.json()) as { machine_id: string };
    for (const event of await take(socket, 2)) {
      expect(event).toMatchObject({ operation: "create", machine_id: id.replace("dm-", "mch_") });
    }
  });
});

describe("a reader whose connection is cut", () => {
  it("at every frame, goes on after the last event it has: none is lost, none comes twice", async () => {
    const whole = await history(api);
    for (let cutAt = 1; cutAt < whole.length; cutAt++) {
      const first = await open();
      await subscribe(first, { replay_limit: whole.length });
      const got = await take(first, cutAt);
      first.cut();
      await using second = await open();
      await subscribe(second, { after_event_id: got.at(-1)?.["id"], replay_limit: 3 });
      got.push(...(await take(second, whole.length - cutAt)));
      expect(got).toEqual(whole);
    }
  });

  it.each([1, 2, 5])("after each %i events while machines change, gets each once", async (each) => {
    const { id: begin } = (await history(api)).at(-1) ?? {};
    let changing = true;
    const changes = Promise.all(
      [0, 1, 2].map(async () => {
        for (let n = 0; n < 4; n++) {
          const id = await api.machine();
          await change(id);
          await api.ask("POST", `/v1/machines/${id}/hibernate`);
          await api.ask("POST", `/v1/machines/${id}/resume`);
          await api.ask("DELETE", `/v1/machines/${id}`);
        }
      }),
    ).finally(() => (changing = false));
    const got: Frame[] = [];
    let whole: Frame[] | undefined;
    while (!whole || got.length < whole.length) {
      const socket = await open();
      await subscribe(socket, { after_event_id: got.at(-1)?.["id"] ?? begin });
      const left = whole ? whole.length - got.length : each;
      got.push(...(await take(socket, Math.min(each, left))));
      socket.cut();
      if (changing || whole) continue;
      const all = await history(api);
      whole = all.slice(all.findIndex(({ id }) => id === begin) + 1);
    }
    await changes;
    expect(got).toEqual(whole);
    expect(got).toHaveLength(3 * 4 * 9);
  });

  it("and one that joins at any moment, or reads slowly, get each once, too", async () => {
    const { id: begin } = (await history(api)).at(-1) ?? {};
    const readers: TestSocket[] = [];
    const join = async (): Promise<void> => {
      const socket = await open();
      readers.push(socket);
      if (readers.length % 2 === 0) socket.ws.pause();
      socket.send({ type: "subscribe", after_event_id: begin });
    };
    await join();
    const changes = Promise.all(
      Array.from({ length: 40 }, async (_, n) => {
        if (n % 4 === 0) await join();
        const id = await api.machine({ metadata: { n } });
        if (n % 3 === 0) await join();
        await api.ask("DELETE", `/v1/machines/${id}`);
      }),
    );
    await changes;
    const all = await history(api);
    const wanted = all.slice(all.findIndex(({ id }) => id === begin) + 1);
    for (const socket of readers) {
      socket.ws.resume();
      expect(await socket.next()).toMatchObject({ type: "subscribed" });
      expect(await take(socket, wanted.length)).toEqual(wanted);
      await socket[Symbol.asyncDispose]();
    }
  });
});

describe("a control plane that is started again", () => {
  const apiKey = "key-of-the-test";
  let stateDir: string;
  beforeEach(() => {
    stateDir = mkdtempSync(join(tmpdir(), "machines-sockets-"));
  });
  afterEach(() => {
    rmSync(stateDir, { recursive: true, force: true });
  });
  const start = (more: object = {}): Promise<Local> =>
    startLocal({ driver: "null", stateDir, port: 0, apiKey, ...more });

  it("closes its streams with 1001; they go on where they were", async () => {
    const first = await start();
    const id = await new Api(first).machine();
    const socket = await open(undefined, first);
    await subscribe(socket);
    const got = await take(socket, 2);
    const closing = first.close();
    expect(await socket.closed).toMatchObject({ code: 1001 });
    await closing;
    await using second = await start();
    const its = new Api(second);
    await change(id, its);
    await using again = await open(undefined, second);
    await subscribe(again, { after_event_id: got.at(-1)?.["id"] });
    const whole = await history(its);
    got.push(...(await take(again, whole.length - 2)));
    expect(got).toEqual(whole);
  });

  it("and has forgotten the event says so instead of leaving a gap", async () => {
    const first = await start();
    const its = new Api(first);
    const id = await its.machine();
    await change(id, its);
    const [forgotten] = await history(its);
    await first.close();
    await using second = await start({ eventRetentionMs: 1 });
    await using socket = await open(undefined, second);
    const told = await subscribe(socket, { after_event_id: forgotten?.["id"] });
    expect(told).toMatchObject({ type: "error", code: "not_found" });
    expect(told["message"]).toContain("any more");
    // Its newest event is kept, so that whoever has that one can go on.
    const [kept] = await history(new Api(second));
    expect(await subscribe(socket, { after_event_id: kept?.["id"] })).toMatchObject({ type: "subscribed" });
    const now = new Api(second);
    await change(id, now);
    const last = (await history(now)).length - 1;
    expect(await take(socket, last)).toEqual((await history(now)).slice(1));
  });
});
