/** The lifecycle log as history: filters, order, pages, and what may not be asked. */
import fc from "fast-check";
import { lifecycleOperations, lifecycleStatuses } from "@pulumi-machines/sdk/nullspace/rules";
import type { Local } from "../../../local/src/start-local";
import { Api, locations, startTestLocal, told } from "./control-plane";

let local: Local;
let api: Api;
let ids: string[];
/** The whole log, oldest first. */
let log: Record<string, unknown>[];

beforeAll(async () => {
  local = await startTestLocal();
  api = new Api(local);
  ids = [await api.machine(), await api.machine(), await api.machine()];
  const [first = "", second = "", third = ""] = ids;
  await api.ask("POST", `/v1/machines/${first}/timeout`, { body: { timeout_ms: 1_000_000 } });
  await api.ask("POST", `/v1/machines/${first}/hibernate`);
  await api.ask("POST", `/v1/machines/${first}/resume`);
  await api.ask("POST", `/v1/machines/${second}/snapshots`);
  ids.push(String((await api.ask("POST", `/v1/machines/${second}/fork`)).json["id"]));
  const fail = { reason: "host_broken", lastError: "no disk", retryable: false };
  local.faults.replace({ rules: [{ on: "start", after: 0, times: 1, fail }] });
  await api.ask("POST", "/v1/machines", { body: {} });
  await api.ask("DELETE", `/v1/machines/${third}`);
  log = (await events("/v1/lifecycle/events?order=asc&limit=100")).events;
});
afterAll(() => local.close());

async function events(path: string) {
  const { status, body, json } = await api.ask("GET", path);
  if (status !== 200) throw new Error(body);
  return json as { events: Record<string, unknown>[]; offset: number; limit: number; has_more: boolean };
}

describe("the history of the account", () => {
  it("has everything that happened, each change as requested and then as it ended", () => {
    const changes = log.map(({ operation, status }) => `${String(operation)} ${String(status)}`);
    for (const operation of ["create", "hibernate", "resume_from_snapshot", "fork", "destroy"]) {
      expect(changes).toContain(`${operation} requested`);
      expect(changes).toContain(`${operation} succeeded`);
    }
    expect(changes).toContain("snapshot_created succeeded");
    expect(changes).toContain("timeout_updated succeeded");
    expect(log.find(({ status }) => status === "failed")).toMatchObject({
      operation: "create",
      error_code: "host_broken",
      error_message: "no disk",
    });
    for (const event of log) {
      expect(event["audience"]).toBe("customer");
      expect(Object.values(event)).not.toContain(null);
    }
    const times = log.map(({ occurred_at }) => String(occurred_at));
    expect(times).toEqual([...times].sort());
  });

  it("is newest first, fifty at a time, unless it is asked for otherwise", async () => {
    const page = await events("/v1/lifecycle/events");
    expect(page).toMatchObject({ offset: 0, limit: 50, has_more: false });
    expect(page.events).toEqual([...log].reverse());
  });

  it("names the machine that was forked, and the one that was made", () => {
    const fork = log.find(({ operation, status }) => operation === "fork" && status === "succeeded");
    expect(fork).toMatchObject({
      machine_id: ids[3],
      source_machine_id: ids[1],
      target_machine_id: ids[3],
    });
  });

  it("with any filters and pages has exactly the events that fit, once each", async () => {
    const field = fc.record(
      {
        operation: fc.constantFrom(...lifecycleOperations),
        status: fc.constantFrom(...lifecycleStatuses),
        machine_id: fc.constantFrom(...["mch_none", "x"], ...ids),
        source_machine_id: fc.constantFrom(...ids),
        target_machine_id: fc.constantFrom(...ids),
        snapshot_id: fc.constantFrom(
          ...new Set(log.flatMap((event) => event["snapshot_id"] ?? [])).values(),
          "x",
        ),
        from: fc.constantFrom(...log.map(({ occurred_at }) => String(occurred_at))),
        to: fc.constantFrom(...log.map(({ occurred_at }) => String(occurred_at))),
        audience: fc.constant("customer"),
        order: fc.constantFrom("asc", "desc"),
      },
      { requiredKeys: [] },
    );
    await fc.assert(
      fc.asyncProperty(field, fc.integer({ min: 1, max: 7 }), async (filter, limit) => {
        const { order, from, to, ...equal } = filter;
        const fitting = log.filter(
          (event) =>
            Object.entries(equal).every(([name, value]) => event[name] === value) &&
            (from === undefined || String(event["occurred_at"]) >= from) &&
            (to === undefined || String(event["occurred_at"]) < to),
        );
        const expected = order === "asc" ? fitting : fitting.reverse();
        const query = new URLSearchParams({ ...(filter as Record<string, string>), limit: String(limit) });
        const seen: unknown[] = [];
        for (let more = true; more;) {
          query.set("offset", String(seen.length));
          const page = await events(`/v1/lifecycle/events?${query.toString()}`);
          expect(page).toMatchObject({ offset: seen.length, limit });
          seen.push(...page.events);
          more = page.has_more;
        }
        expect(seen).toEqual(expected);
      }),
      { numRuns: 80 },
    );
  });

  it("takes times in any zone and to the nanosecond: from is inclusive, to is not", async () => {
    const at = String(log[3]?.["occurred_at"]);
    const later = at.replace(/\.(\d{3})Z$/, ".$1000001Z");
    const zoned = `${new Date(Date.parse(at) + 5_400_000).toISOString().slice(0, -1)}+01:30`;
    const have = async (query: string) =>
      (await events(`/v1/lifecycle/events?order=asc&limit=100&${query}`)).events;
    const from = log.filter(({ occurred_at }) => String(occurred_at) >= at);
    expect(await have(`from=${at}`)).toEqual(from);
    expect(await have(`from=${encodeURIComponent(zoned)}`)).toEqual(from);
    expect(await have(`from=${later}`)).toEqual(log.filter(({ occurred_at }) => String(occurred_at) > at));
    expect(await have(`to=${at}`)).toEqual(log.filter(({ occurred_at }) => String(occurred_at) < at));
    expect(await have(`to=${later}`)).toEqual(log.filter(({ occurred_at }) => String(occurred_at) <= at));
  });

  it.each([
    ["audience=internal", "audience"],
    ["audience=everybody", "audience"],
    ["operation=pause", "operation"],
    ["status=done", "status"],
    ["order=random", "order"],
    ["limit=0", "limit"],
    ["limit=101", "limit"],
    ["limit=-1", "limit"],
    ["offset=-1", "offset"],
    ["offset=1.5", "offset"],
    ["from=yesterday", "from"],
    ["from=2026-02-30T25:00:00Z", "from"],
    ["to=2026-01-01", "to"],
    ["from_time=2026-01-01T00:00:00Z", "from_time"],
    ["status=failed&status=failed", "status"],
  ])("with %s is refused", async (query, place) => {
    const answer = await api.ask("GET", `/v1/lifecycle/events?${query}`);
    expect([told(answer), locations(answer)]).toEqual([[400, "invalid_request"], [`query.${place}`]]);
  });
});

describe("the history of one machine", () => {
  it("has it as primary, source or target", async () => {
    for (const id of ids) {
      const page = await events(`/v1/machines/${id}/lifecycle?order=asc&limit=100`);
      const own = log.filter((event) =>
        ["machine_id", "source_machine_id", "target_machine_id"].some((name) => event[name] === id),
      );
      expect(page.events).toEqual(own);
      const failed = await events(`/v1/machines/${id}/lifecycle?status=failed`);
      expect(failed.events).toEqual([]);
    }
  });

  it("is there when the machine is not, and not when there never was one", async () => {
    expect((await events(`/v1/machines/${String(ids[2])}/lifecycle`)).events[0]).toMatchObject({
      operation: "destroy",
      status: "succeeded",
    });
    const none = await api.ask("GET", "/v1/machines/mch_none/lifecycle");
    expect(told(none)).toEqual([404, "machine_not_found"]);
    const path = `/v1/machines/${String(ids[0])}/lifecycle?machine_id=${String(ids[0])}`;
    expect(told(await api.ask("GET", path))).toEqual([400, "invalid_request"]);
  });
});

describe("the history of one snapshot", () => {
  it("has the events that are about it", async () => {
    const taken = log.find(({ operation }) => operation === "snapshot_created");
    const id = String(taken?.["snapshot_id"]);
    const page = await events(`/v1/snapshots/${id}/lifecycle?order=asc`);
    expect(page.events).toEqual(log.filter((event) => event["snapshot_id"] === id));
    expect(page.events.length).toBeGreaterThan(0);
    await api.ask("DELETE", `/v1/snapshots/${id}`);
    expect((await events(`/v1/snapshots/${id}/lifecycle?order=asc`)).events).toEqual(page.events);
    expect(told(await api.ask("GET", "/v1/snapshots/snap_none/lifecycle"))).toEqual([
      404,
      "snapshot_not_found",
    ]);
    expect(told(await api.ask("GET", "/v1/snapshots/none/lifecycle"))).toEqual([404, "snapshot_not_found"]);
  });
});
