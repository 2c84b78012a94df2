/** Lists over pages: of any length, any page size, any filter, and with events that come and go meanwhile. */
import fc from "fast-check";
import type { ServerResponse } from "node:http";
import type { LifecycleEvent } from "../../../sdk/src/nullspace/wire";
import { sendJson, type Seen } from "../loopback";
import { all, closeAll, failureOf, serve, wireEvent, wireMachine } from "./client-to";

afterEach(closeAll);

const queryOf = ({ url }: Seen): Record<string, string> =>
  Object.fromEntries(new URL(url, "http://h").searchParams);

describe("machines", () => {
  test("without filters are asked for without a query, and a bare array is all of them", async () => {
    const { client, server } = await serve((response) =>
      sendJson(response, 200, [wireMachine("mch_a"), wireMachine("mch_b")]),
    );
    const list = client.machines.list();
    expect(server.seen).toEqual([]);
    expect((await all(list)).map(({ id }) => id)).toEqual(["mch_a", "mch_b"]);
    expect(await list.page()).toMatchObject({ hasNext: false, items: [{}, {}] });
    expect(server.seen[0]?.url).toBe("/v1/machines");
  });

  test("every follow-up page repeats the filters", async () => {
    const { client, server } = await serve((response, _request, count) =>
      sendJson(response, 200, {
        items: [wireMachine(`mch_${String(count)}`)],
        has_next: count < 3,
        next_token: count < 3 ? `t ${String(count)}` : null,
      }),
    );
    const list = client.machines.list({
      state: ["running", "paused"],
      template: "base",
      metadata: { run: "docs", n: 1 },
      limit: 1,
    });
    expect((await all(list)).map(({ id }) => id)).toEqual(["mch_1", "mch_2", "mch_3"]);
    const filters = {
      state: "running,paused",
      template: "base",
      metadata: '{"run":"docs","n":1}',
      limit: "1",
    };
    expect(server.seen.map(queryOf)).toEqual([
      filters,
      { ...filters, next_token: "t 1" },
      { ...filters, next_token: "t 2" },
    ]);
  });

  test("with a field mask are parts of machines", async () => {
    const { client, server } = await serve((response) =>
      sendJson(response, 200, { items: [{ id: "mch_a" }], has_next: false }),
    );
    const [machine] = await all(client.machines.list({ fields: ["id"], state: "error" }));
    expect(machine).toEqual({ id: "mch_a", raw: { id: "mch_a" } });
    expect(server.seen.map(queryOf)).toEqual([{ fields: "id", state: "error" }]);
  });

  test.each<[string, object]>([
    ["says no more but has a token", { has_next: false, next_token: "t" }],
    ["says more but has no token", { has_next: true }],
    ["says more with an empty token", { has_next: true, next_token: "" }],
  ])("end where the page %s", async (_name, page) => {
    const { client, server } = await serve((response) => sendJson(response, 200, { items: [], ...page }));
    expect(await all(client.machines.list({ limit: 5 }))).toEqual([]);
    expect(server.seen).toHaveLength(1);
  });

  test("whose token repeats end with an error instead of never; an empty page is not the end", async () => {
    const tokens = ["a", "b", "a"];
    const { client } = await serve((response, _request, count) =>
      sendJson(response, 200, { items: [], has_next: true, next_token: tokens[count - 1] }),
    );
    expect(await failureOf(all(client.machines.list({ limit: 5 })))).toMatchObject({
      code: "repeated_cursor",
    });
  });

  test.each([0, 101, 1.5, NaN])("a limit of %d is refused", async (limit) => {
    const { client } = await serve(() => undefined);
    expect(() => client.machines.list({ limit })).toThrow(/whole number from 1 to 100/);
  });

  test("no states are refused, a loop that is left asks no more", async () => {
    const { client, server } = await serve((response) =>
      sendJson(response, 200, { items: [wireMachine()], has_next: true, next_token: "t" }),
    );
    expect(() => client.machines.list({ state: [] })).toThrow(/list of states is empty/);
    for await (const machine of client.machines.list({ limit: 1 })) {
      expect(machine.id).toBe("mch_one");
      break;
    }
    expect(server.seen).toHaveLength(1);
  });

  test("any number of machines, states and page sizes: each comes once, in order", async () => {
    const states = ["creating", "running", "paused", "destroyed", "error"];
    let machines: { id: string; status: string }[] = [];
    const { client } = await serve((response, request) => {
      const { state, limit = "50", next_token: token = "0" } = queryOf(request);
      const found = machines.filter(({ status }) => !state || state.split(",").includes(status));
      const end = Number(token) + Number(limit);
      sendJson(response, 200, {
        items: found.slice(Number(token), end).map(({ id, status }) => wireMachine(id, { status })),
        has_next: end < found.length,
        ...(end < found.length ? { next_token: String(end) } : {}),
      });
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom(...states), { maxLength: 60 }),
        fc.subarray(states, { minLength: 1 }),
        fc.integer({ min: 1, max: 100 }),
        async (all_, state, limit) => {
          machines = all_.map((status, index) => ({ id: `mch_${String(index)}`, status }));
          const expected = machines.filter(({ status }) => state.includes(status)).map(({ id }) => id);
          expect((await all(client.machines.list({ state, limit }))).map(({ id }) => id)).toEqual(expected);
        },
      ),
      { numRuns: 40 },
    );
  });
});

interface Row {
  id: string;
  at: number;
  operation: string;
}
const iso = (at: number): string => new Date(Date.UTC(2026, 0, 1) + at).toISOString();

/** The history of a service: filters, order and pages as the contract has them. */
class History {
  rows: Row[] = [];
  limits: number[] = [];

  answer(response: ServerResponse, request: Seen): void {
    const { from, to, order = "desc", offset = "0", limit = "50", operation } = queryOf(request);
    this.limits.push(Number(limit));
    const found = this.rows
      .filter(({ at }) => !from || iso(at) >= from)
      .filter(({ at }) => !to || iso(at) < to)
      .filter((row) => !operation || row.operation === operation)
      .sort((a, b) => a.at - b.at);
    if (order === "desc") found.reverse();
    const start = Number(offset);
    const page = found.slice(start, start + Number(limit));
    sendJson(response, 200, {
      events: page.map(({ id, at, operation: name }) =>
        wireEvent(id, { occurred_at: iso(at), operation: name }),
      ),
      offset: start,
      limit: Number(limit),
      has_more: start + page.length < found.length,
    });
  }
}

describe("lifecycle history", () => {
  test("goes where its scope says, with every filter in the wire's words", async () => {
    const { client, server } = await serve((response) =>
      sendJson(response, 200, { events: [], offset: 0, limit: 50, has_more: false }),
    );
    const { lifecycle } = client;
    await lifecycle
      .list({
        operation: "fork",
        status: "failed",
        audience: "customer",
        machineId: "mch_a",
        snapshotId: "snap_b",
        sourceMachineId: "mch_c",
        targetMachineId: "mch_d",
        from: new Date(0),
        to: "2026-01-01T00:00:00Z",
        order: "asc",
        offset: 5,
        limit: 7,
      })
      .page();
    await lifecycle.listForMachine("mch_a", { operation: "create" }).page();
    await lifecycle.listForSnapshot("snap_b").page();
    expect(server.seen.map(({ url }) => url.split("?")[0])).toEqual([
      "/v1/lifecycle/events",
      "/v1/machines/mch_a/lifecycle",
      "/v1/snapshots/snap_b/lifecycle",
    ]);
    expect(server.seen.map(queryOf)).toEqual([
      {
        operation: "fork",
        status: "failed",
        audience: "customer",
        machine_id: "mch_a",
        snapshot_id: "snap_b",
        source_machine_id: "mch_c",
        target_machine_id: "mch_d",
        from: "1970-01-01T00:00:00.000Z",
        to: "2026-01-01T00:00:00Z",
        order: "asc",
        offset: "5",
        limit: "7",
      },
      { operation: "create", order: "desc" },
      { order: "desc" },
    ]);
  });

  test("events in the older wording are events of machines, and unknown words do not crash", async () => {
    const { machine_id: _gone, ...event } = wireEvent("e1");
    const { client } = await serve((response) =>
      sendJson(response, 200, {
        events: [
          {
            ...event,
            operation: "teleport",
            status: "odd",
            sandbox_id: "sb_1",
            source_sandbox_id: "sb_2",
            target_sandbox_id: "sb_3",
            reason: null,
            color: "green",
          },
        ],
        offset: 0,
        limit: 50,
        has_more: false,
      }),
    );
    const [found] = await all(client.lifecycle.list());
    expect(found).toMatchObject({
      id: "e1",
      machineId: "sb_1",
      sourceMachineId: "sb_2",
      targetMachineId: "sb_3",
      operation: "teleport",
      status: "odd",
      raw: { color: "green" },
    });
    expect(found).not.toHaveProperty("reason");
  });

  test("internal events are refused before anything is sent", async () => {
    const { client } = await serve(() => undefined);
    expect(() => client.lifecycle.list({ audience: "internal" as "customer" })).toThrow(/internal/);
  });

  test("newest first, each event comes once however many are added between two pages", async () => {
    const history = new History();
    const { client } = await serve((response, request) => history.answer(response, request));
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 40 }),
        fc.integer({ min: 1, max: 7 }),
        fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 8 }),
        async (count, limit, inserts) => {
          const before = Array.from({ length: count }, (_, at) => ({
            id: `old-${String(at)}`,
            at,
            operation: "create",
          }));
          history.rows = [...before];
          const seen: string[] = [];
          const list = client.lifecycle.list({ limit });
          let at = 1_000;
          for await (const { id } of list) {
            seen.push(id);
            const more = seen.length % limit === 0 ? (inserts.shift() ?? 0) : 0;
            for (let n = 0; n < more; n++)
              history.rows.push({ id: `new-${String(at)}`, at: at++, operation: "create" });
          }
          expect(new Set(seen).size).toBe(seen.length);
          expect(seen.filter((id) => id.startsWith("old"))).toEqual(before.map(({ id }) => id).reverse());
        },
      ),
      { numRuns: 30 },
    );
  });

  test("after an event: everything later, oldest first, once; with many in one moment, and old ones expiring", async () => {
    const history = new History();
    const { client } = await serve((response, request) => history.answer(response, request));
    await fc.assert(
      fc.asyncProperty(
        // Few moments for many events, so that pages end within one.
        fc.array(fc.tuple(fc.integer({ min: 0, max: 5 }), fc.constantFrom("create", "destroy")), {
          minLength: 1,
          maxLength: 40,
        }),
        fc.nat(),
        fc.integer({ min: 1, max: 5 }),
        fc.boolean(),
        fc.boolean(),
        async (events, pick, limit, byId, filtered) => {
          const rows = events
            .map(([at, operation]) => ({ at, operation }))
            .sort((a, b) => a.at - b.at)
            .map((row, index) => ({ ...row, id: `e${String(index)}` }));
          history.rows = rows;
          const start = pick % rows.length;
          const cursor = rows[start] as Row;
          const expected = rows.slice(start + 1).filter((row) => !filtered || row.operation === "create");
          const seen: LifecycleEvent[] = [];
          const after = client.lifecycle.listAfter(
            byId ? cursor.id : { id: cursor.id, occurredAt: iso(cursor.at) },
            { limit, ...(filtered ? { operation: "create" as const } : {}) },
          );
          for await (const event of after) {
            seen.push(event);
            // What was read already may expire at any time.
            history.rows = history.rows.filter(({ at }) => iso(at) >= event.occurredAt);
          }
          expect(seen.map(({ id }) => id)).toEqual(expected.map(({ id }) => id));
        },
      ),
      { numRuns: 60 },
    );
  });

  test("after an event that is gone: an error, never a silent gap", async () => {
    const history = new History();
    const { client } = await serve((response, request) => history.answer(response, request));
    history.rows = [{ id: "e1", at: 1, operation: "create" }];
    for (const cursor of ["e0", { id: "e0", occurredAt: iso(0) }, { id: "e0", occurredAt: iso(1) }]) {
      expect(await failureOf(all(client.lifecycle.listAfter(cursor)))).toMatchObject({
        name: "NotFoundError",
        code: "event_not_found",
      });
    }
    const odd = client.lifecycle.listAfter({ id: "e1", occurredAt: "yesterday" });
    expect(await failureOf(all(odd))).toMatchObject({ code: "invalid_argument" });
  });
});

describe("deliveries", () => {
  test("end with the first page that is not full", async () => {
    const delivery = (id: number) => ({
      id: `d${String(id)}`,
      webhook_id: "w",
      event_id: "e",
      operation: "create",
      status: "succeeded",
      delivery_status: "queued",
      attempt_count: 0,
      created_at: "2026-05-12T00:00:00Z",
      last_error: null,
    });
    const { client, server } = await serve((response, request) => {
      const { offset = "0", limit = "50" } = queryOf(request);
      const ids = [0, 1, 2, 3, 4].slice(Number(offset), Number(offset) + Number(limit));
      sendJson(response, 200, ids.map(delivery));
    });
    const ids = (await all(client.webhooks.deliveries("w", { limit: 2 }))).map(({ id }) => id);
    expect(ids).toEqual(["d0", "d1", "d2", "d3", "d4"]);
    expect(server.seen.map(({ url }) => url)).toEqual([
      "/v1/lifecycle/webhooks/w/deliveries?offset=0&limit=2",
      "/v1/lifecycle/webhooks/w/deliveries?offset=2&limit=2",
      "/v1/lifecycle/webhooks/w/deliveries?offset=4&limit=2",
    ]);
  });
});
