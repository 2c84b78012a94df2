/** Lists: both shapes, filters, pages that lose and repeat nothing, field masks. */
import fc from "fast-check";
import { machineFieldNames, machineStates } from "@pulumi-machines/sdk/nullspace/rules";
import type { Local } from "../../../local/src/start-local";
import { Api, locations, plain, startTestLocal, told } from "./control-plane";

let local: Local;
let api: Api;
const stalls = new AbortController();
beforeAll(async () => {
  local = await startTestLocal();
  api = new Api(local);
  await populate();
});
afterAll(async () => {
  stalls.abort();
  await local.close();
});

interface Known {
  id: string;
  state: string;
  metadata: Record<string, unknown>;
}
/** Newest first, as a list has them. */
let known: Known[] = [];

const kinds = [
  ["running", { team: "a", run: 1 }],
  ["paused", { team: "b" }],
  ["error", { team: "a" }],
  ["destroyed", { team: "a", run: 2 }],
  ["running", {}],
  ["paused", { team: "a", run: 1, nested: { a: [1, { b: null }] } }],
  ["running", { team: "b", run: 1 }],
  ["error", { run: "1" }],
  ["destroyed", {}],
  ["running", { team: "a" }],
] as const;

async function populate(): Promise<void> {
  for (const [state, metadata] of kinds) {
    const id = state === "error" ? await failing(metadata) : await api.machine({ metadata });
    if (state === "paused") {
      await local.controlPlane.machines.state(id.slice(4), "sleeping");
      await local.controlPlane.machines.settled(id.slice(4), "sleeping", AbortSignal.timeout(5000));
    }
    if (state === "destroyed") await api.ask("DELETE", `/v1/machines/${id}`);
    known.unshift({ id, state, metadata });
  }
  // Two that never come to run within this test.
  local.faults.replace({ rules: [{ on: "start", after: 0, stallMs: 600_000 }] });
  for (const metadata of [{ team: "a" }, { team: "c" }]) {
    void api
      .ask("POST", "/v1/machines", { body: { ...plain, metadata }, signal: stalls.signal })
      .catch(() => undefined);
    const state = "creating";
    let found: Record<string, unknown> | undefined;
    while (!found) found = (await api.list()).find(({ id }) => !known.some((one) => one.id === id));
    known.unshift({ id: String(found["id"]), state, metadata });
  }
}

async function failing(metadata: Record<string, unknown>): Promise<string> {
  const fail = { reason: "image_missing", lastError: "no such image", retryable: false };
  local.faults.replace({ rules: [{ on: "start", after: 0, times: 1, fail }] });
  const { json } = await api.ask("POST", "/v1/machines", { body: { ...plain, metadata } });
  return (json["details"] as { machine_id: string }).machine_id;
}

const ids = (machines: Record<string, unknown>[]): unknown[] => machines.map(({ id }) => id);
const live = () => known.filter(({ state }) => state !== "destroyed");

describe("a list", () => {
  it("without any query is a bare array of everything that is not destroyed, newest first", async () => {
    const { json } = await api.ask("GET", "/v1/machines");
    expect(Array.isArray(json)).toBe(true);
    expect(ids(json as unknown as Record<string, unknown>[])).toEqual(live().map(({ id }) => id));
    expect(ids(await api.list("?"))).toEqual(live().map(({ id }) => id));
  });

  it("with any query is a page", async () => {
    for (const query of ["state=running", "limit=5", "template=base", "metadata=%7B%7D", "fields=id"]) {
      const { json } = await api.ask("GET", `/v1/machines?${query}`, { undocumented: query === "fields=id" });
      expect(json).toMatchObject({
        items: expect.any(Array) as unknown,
        has_next: expect.any(Boolean) as unknown,
      });
      expect("next_token" in json).toBe(json["has_next"]);
    }
  });

  it.each(machineStates)("of the state %s has those and no others", async (state) => {
    const found = await api.list(`?state=${state}`);
    expect(ids(found)).toEqual(known.filter((one) => one.state === state).map(({ id }) => id));
    for (const machine of found) expect(machine["status"]).toBe(state);
  });

  it("reads the metadata of the vendor's client, with a space and a plus for it", async () => {
    const expected = known.filter(({ metadata, state }) => metadata["team"] === "a" && state !== "destroyed");
    expect(ids(await api.list("?metadata=%7B%22team%22%3A+%22a%22%7D"))).toEqual(
      expected.map(({ id }) => id),
    );
  });

  it("of another template is empty", async () => {
    expect(await api.list("?template=python")).toEqual([]);
  });

  it("has only the fields that were asked for", async () => {
    const { json } = await api.ask("GET", "/v1/machines?fields=id,%20status%20,id&limit=2", {
      undocumented: true,
    });
    for (const item of json["items"] as object[]) expect(Object.keys(item).sort()).toEqual(["id", "status"]);
    const running = known.find(({ state }) => state === "running");
    const path = `/v1/machines/${String(running?.id)}?fields=${machineFieldNames.join(",")}`;
    const one = await api.ask("GET", path, { undocumented: true });
    expect(
      Object.keys(one.json).every((name) => (machineFieldNames as readonly string[]).includes(name)),
    ).toBe(true);
    expect(one.json).toMatchObject({ id: running?.id, config: { vcpus: 1 } });
  });

  it.each([
    ["state=hibernated", "query.state", "invalid_request"],
    ["state=", "query.state", "invalid_request"],
    ["limit=0", "query.limit", "invalid_request"],
    ["limit=101", "query.limit", "invalid_request"],
    ["limit=1e1", "query.limit", "invalid_request"],
    ["limit=1&limit=2", "query.limit", "invalid_request"],
    ["metadata=x", "query.metadata", "invalid_request"],
    ["metadata=[]", "query.metadata", "invalid_request"],
    ["metadata=null", "query.metadata", "invalid_request"],
    ["next_token=", "query.next_token", "invalid_request"],
    ["next_token=cDE", "query.next_token", "invalid_request"],
    ["colour=red", "query.colour", "invalid_request"],
    ["fields=id,colour", "query.fields", "invalid_fields"],
    ["fields=", "query.fields", "invalid_fields"],
  ])("with %s is refused", async (query, place, code) => {
    const answer = await api.ask("GET", `/v1/machines?${query}`);
    expect([told(answer), locations(answer)]).toEqual([[400, code], [place]]);
  });

  it("does not take the token of other filters, nor one that was changed", async () => {
    const { json } = await api.ask("GET", "/v1/machines?state=running&limit=1");
    const token = String(json["next_token"]);
    const with_ = (query: string) => api.ask("GET", `/v1/machines?${query}`);
    expect((await with_(`state=running&limit=3&next_token=${token}`)).status).toBe(200);
    expect((await with_(`state=running,running&next_token=${token}`)).status).toBe(200);
    for (const query of [
      `next_token=${token}`,
      `state=paused&next_token=${token}`,
      `state=running&metadata=%7B%22a%22:1%7D&next_token=${token}`,
      `state=running&next_token=${token}x`,
      `state=running&next_token=${token.slice(1)}`,
    ]) {
      expect(told(await with_(query))).toEqual([400, "invalid_request"]);
    }
  });

  it("in pages of any size has each machine of its filters once, in order", async () => {
    const filters = fc.record(
      {
        state: fc.subarray([...machineStates], { minLength: 1 }),
        metadata: fc.constantFrom(
          {},
          { team: "a" },
          { run: 1 },
          { team: "a", run: 1 },
          { nested: { a: [1, { b: null }] } },
        ),
      },
      { requiredKeys: [] },
    );
    await fc.assert(
      fc.asyncProperty(filters, fc.integer({ min: 1, max: 6 }), async ({ state, metadata }, limit) => {
        const expected = known.filter(
          (one) =>
            (state ?? machineStates.filter((name) => name !== "destroyed")).includes(one.state as never) &&
            Object.entries(metadata ?? {}).every(
              ([name, value]) => JSON.stringify(one.metadata[name]) === JSON.stringify(value),
            ),
        );
        const query = new URLSearchParams({ limit: String(limit) });
        if (state) query.set("state", state.join(","));
        if (metadata) query.set("metadata", JSON.stringify(metadata));
        const seen: unknown[] = [];
        for (;;) {
          const { json } = await api.ask("GET", `/v1/machines?${query.toString()}`);
          const items = json["items"] as Record<string, unknown>[];
          seen.push(...ids(items));
          if (json["has_next"] !== true) break;
          // A page that promises a next one is full, and the next one has something.
          expect(items).toHaveLength(limit);
          query.set("next_token", String(json["next_token"]));
        }
        expect(seen).toEqual(expected.map(({ id }) => id));
      }),
      { numRuns: 60 },
    );
  });

  it("in pages is not disturbed by machines that are made meanwhile", async () => {
    local.faults.replace({ rules: [] });
    const first = await api.ask("GET", "/v1/machines?state=running&limit=2");
    const before = known.filter(({ state }) => state === "running").map(({ id }) => id);
    const id = await api.machine();
    known = [{ id, state: "running", metadata: {} }, ...known];
    const rest = await api.list(`?state=running&limit=100&next_token=${String(first.json["next_token"])}`);
    expect([...ids(first.json["items"] as Record<string, unknown>[]), ...ids(rest)]).toEqual(before);
  });
});
