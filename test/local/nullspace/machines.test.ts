/** A machine's life in the Nullspace dialect: its states, what answers when, and the same machine in the other dialect. */
import { createServer } from "node:http";
import type { MachineRecord } from "../../../local/src/engine/record";
import { noLease } from "../../../local/src/engine/record";
import { machineState } from "../../../local/src/dialects/nullspace/machine-state";
import type { Local } from "../../../local/src/start-local";
import { Api, eventually, parseEvents, startTestLocal, told } from "./control-plane";

let local: Local;
let api: Api;
beforeAll(async () => {
  local = await startTestLocal();
  api = new Api(local);
});
afterAll(() => local.close());
afterEach(() => {
  local.faults.replace({ rules: [] });
});

const asDedalus = (id: string): string => id.replace("mch_", "dm-");

async function dedalus(method: string, path: string): Promise<Record<string, unknown>> {
  const response = await fetch(local.dedalus + path, {
    method,
    headers: { authorization: `Bearer ${local.apiKey}`, "idempotency-key": `d-${method}-${path}` },
  });
  return (await response.json()) as Record<string, unknown>;
}

describe("the state of a machine", () => {
  const at = "2026-01-01T00:00:00.000Z";
  const record: MachineRecord = {
    ...{ id: "a", vcpu: 1, memoryMiB: 256, storageGiB: 1, template: "base", metadata: {}, cwd: null },
    ...{ egress: "allow_all", autosleepSeconds: 0, desiredState: "running", phase: "running" },
    ...{ reason: "", lastError: null, retryable: false, revision: 1, lastTransitionAt: at },
    ...{ lastProgressAt: at, createdAt: at, lastActivityAt: at, lastWakeAt: null, lease: noLease },
    ...{ fromSnapshotId: null, forkedFromId: null, firstRunningAt: at, hibernationId: null },
    ...{ operation: null, operationActor: "user" },
  };

  it.each([
    ["accepted", { firstRunningAt: null, operation: "create" }, "creating"],
    ["placement_pending", { firstRunningAt: null, operation: "fork" }, "creating"],
    ["starting", { firstRunningAt: null, operation: "create" }, "creating"],
    ["placement_pending", { operation: "resume_from_snapshot", hibernationId: "h" }, "paused"],
    ["starting", { operation: "resume_from_snapshot", hibernationId: "h" }, "paused"],
    ["starting", { operation: "reconcile" }, "running"],
    ["running", {}, "running"],
    ["stopping", { operation: "hibernate", desiredState: "sleeping" }, "running"],
    ["sleeping", { hibernationId: "h" }, "paused"],
    ["failed", {}, "error"],
    ["failed", { firstRunningAt: null }, "error"],
    ["destroying", { operation: "destroy" }, "destroyed"],
    ["destroyed", {}, "destroyed"],
  ] as const)("in the phase %s with %j is %s", (phase, fields, state) => {
    expect(machineState({ ...record, phase, ...fields })).toBe(state);
  });
});

describe("a machine", () => {
  it("is destroyed, and gone then, but for a list that asks for destroyed ones", async () => {
    const id = await api.machine();
    const answer = await api.ask("DELETE", `/v1/machines/${id}`);
    expect([answer.status, answer.json]).toEqual([200, { id, status: "destroyed" }]);
    expect(told(await api.ask("GET", `/v1/machines/${id}`))).toEqual([404, "machine_not_found"]);
    expect(told(await api.ask("DELETE", `/v1/machines/${id}`))).toEqual([404, "machine_not_found"]);
    for (const [method, path, body] of [
      ["POST", "/resume", undefined],
      ["POST", "/hibernate", undefined],
      ["POST", "/timeout", { timeout_ms: 1000 }],
      ["POST", "/exec", { command: "true" }],
      ["POST", "/host", { port: 80 }],
      ["PATCH", "/egress", { egress: { mode: "allow_all" } }],
      ["GET", "/metrics", undefined],
      ["GET", "/processes", undefined],
      ["GET", "/pty", undefined],
    ] as const) {
      const refused = await api.ask(method, `/v1/machines/${id}${path}`, { body });
      expect([path, told(refused)]).toEqual([path, [404, "machine_not_found"]]);
    }
    expect((await api.list()).map((machine) => machine["id"])).not.toContain(id);
    expect((await api.list("?limit=100")).map((machine) => machine["id"])).not.toContain(id);
    expect(await api.list("?state=destroyed")).toContainEqual(
      expect.objectContaining({ id, status: "destroyed" }),
    );
  });

  it("gets another timeout, which counts from then on", async () => {
    const id = await api.machine({ timeout_ms: 60_000 });
    const path = `/v1/machines/${id}/timeout`;
    const longer = await api.ask("POST", path, { body: { timeout_ms: 120_000 } });
    expect(longer.json).toMatchObject({ timeout_ms: 120_000, timeout_action: "destroy" });
    expect(Number(longer.json["remaining_ms"])).toBeGreaterThan(110_000);
    const other = { timeout_ms: 1000, timeout_action: "hibernate" };
    expect((await api.ask("POST", path, { body: other })).json).toMatchObject(other);
    expect(told(await api.ask("POST", path, { body: {} }))).toEqual([400, "invalid_request"]);
    expect(told(await api.ask("POST", path, { body: { timeout_ms: 1e15 } }))[0]).toBe(400);
    const ephemeral = await api.machine({ ephemeral: true });
    const refused = await api.ask("POST", `/v1/machines/${ephemeral}/timeout`, { body: other });
    expect(told(refused)).toEqual([400, "invalid_request"]);
  });

  it("keeps the network that it runs with", async () => {
    const id = await api.machine();
    const path = `/v1/machines/${id}/egress`;
    const same = await api.ask("PATCH", path, { body: { egress: { mode: "allow_all" } } });
    expect([same.status, same.json]).toEqual([200, { machine_id: id, egress: { mode: "allow_all" } }]);
    const other = await api.ask("PATCH", path, { body: { egress: { mode: "deny_all" } } });
    expect(told(other)).toEqual([409, "machine_not_ready"]);
    const custom = await api.ask("PATCH", path, { body: { egress: { mode: "custom" } } });
    expect(told(custom)).toEqual([501, "not_implemented"]);
    expect(told(await api.ask("PATCH", path, { body: {} }))).toEqual([400, "invalid_request"]);
  });

  it("tells where its ports are: on this host", async () => {
    const id = await api.machine();
    const answer = await api.ask("POST", `/v1/machines/${id}/host`, { body: { port: 8080 } });
    expect(answer.json).toEqual({
      host: "127.0.0.1:8080",
      url: "http://127.0.0.1:8080",
      websocket_url: "ws://127.0.0.1:8080",
    });
    for (const port of [0, 65_536, 1.5, "80"]) {
      const refused = await api.ask("POST", `/v1/machines/${id}/host`, { body: { port } });
      expect(told(refused)).toEqual([400, "invalid_request"]);
    }
    const alone = await api.machine({ internet_access: false });
    const refused = await api.ask("POST", `/v1/machines/${alone}/host`, { body: { port: 8080 } });
    expect(told(refused)).toEqual([501, "not_implemented"]);
  });

  it("says whether a service answers on a port, after really asking it", async () => {
    const id = await api.machine();
    const server = createServer((_request, response) => response.writeHead(503).end());
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    const path = `/v1/machines/${id}/ports/${String(port)}/readiness`;
    const ask = (body: unknown) => api.ask("POST", path, { body });
    try {
      expect((await ask({ kind: "tcp" })).json).toMatchObject({
        ...{ ready: true, route_ready: true, service_ready: true, attempts: 1 },
        ...{ machine_id: id, port, kind: "tcp" },
      });
      const answer = await ask({ kind: "http", path: "/health?a=b", timeout_secs: 0 });
      expect(answer.json).toMatchObject({
        ...{ ready: false, service_ready: false, kind: "http", path: "/health?a=b" },
        ...{ code: "service_not_ready", error: "GET /health?a=b answered 503" },
      });
    } finally {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
    const gone = await ask({ timeout_secs: 1, interval_ms: 300 });
    expect(gone.json).toMatchObject({ ready: false, kind: "tcp" });
    expect(Number(gone.json["attempts"])).toBeGreaterThan(1);
    for (const body of [{ kind: "udp" }, { path: "http://evil" }, { path: "/a b" }, { interval_ms: 0 }]) {
      expect(told(await ask(body))).toEqual([400, "invalid_request"]);
    }
    const none = await api.ask("POST", `/v1/machines/${id}/ports/99999/readiness`, { body: {} });
    expect(told(none)).toEqual([400, "invalid_request"]);
  });

  it("that runs is resumed without harm", async () => {
    const id = await api.machine({ cwd: "/work" });
    const answer = await api.ask("POST", `/v1/machines/${id}/resume`);
    expect([answer.status, answer.json]).toEqual([
      200,
      { id, status: "running", config: { vcpus: 1, memory_mb: 256, disk_mb: 10_240 }, cwd: "/work" },
    ]);
  });

  it.each(["mch_", "mch_A", "mch_none", "dm-none", "x", "mch_a%00", `mch_${"a".repeat(200)}`, "..%2f"])(
    "called %s is none",
    async (id) => {
      for (const [method, path] of [
        ["GET", ""],
        ["DELETE", ""],
        ["POST", "/resume"],
        ["POST", "/fork"],
        ["GET", "/lifecycle"],
      ] as const) {
        const answer = await api.ask(method, `/v1/machines/${id}${path}`);
        expect(told(answer)).toEqual([404, "machine_not_found"]);
      }
    },
  );
});

describe("both dialects", () => {
  it("show the same machine: what one does, the other has", async () => {
    const id = await api.machine({ vcpus: 2, memory_mb: 512 });
    const other = asDedalus(id);
    expect(await dedalus("GET", `/v1/machines/${other}`)).toMatchObject({
      ...{ machine_id: other, vcpu: 2, memory_mib: 512, storage_gib: 10, autosleep_seconds: 0 },
      status: { phase: "running" },
    });
    await dedalus("POST", `/v1/machines/${other}/sleep`);
    await eventually("it sleeps", async () => (await api.statusOf(id)) === "paused");
    await dedalus("DELETE", `/v1/machines/${other}`);
    expect(told(await api.ask("GET", `/v1/machines/${id}`))).toEqual([404, "machine_not_found"]);
  });

  it("show quarters of a vCPU and the autosleep of the one in the terms of the other", async () => {
    const response = await fetch(`${local.dedalus}/v1/machines`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${local.apiKey}`,
        "idempotency-key": "quarters",
        "content-type": "application/json",
      },
      body: JSON.stringify({ vcpu: 0.25, memory_mib: 256, storage_gib: 1, autosleep: "5m" }),
    });
    const { machine_id: other } = (await response.json()) as { machine_id: string };
    const id = other.replace("dm-", "mch_");
    await eventually("it runs", async () => (await api.statusOf(id)) === "running");
    const { json } = await api.ask("GET", `/v1/machines/${id}`);
    expect(json).toMatchObject({
      config: { vcpus: 1, memory_mb: 256, disk_mb: 1024 },
      ...{ timeout_action: "hibernate", inactivity_timeout_ms: 300_000 },
    });
    expect(json).not.toHaveProperty("timeout_ms");
  });

  it("serve the same status stream", async () => {
    local.faults.replace({ rules: [{ on: "start", after: 0, times: 1, stallMs: 50 }] });
    const id = await api.machine();
    await api.ask("DELETE", `/v1/machines/${id}`);
    const read = async (url: string, after?: string) => {
      const response = await fetch(url, {
        headers: {
          authorization: `Bearer ${local.apiKey}`,
          ...(after === undefined ? {} : { "last-event-id": after }),
        },
      });
      expect(response.headers.get("content-type")).toBe("text/event-stream");
      return parseEvents(await response.text());
    };
    const here = await read(`${local.nullspace}/v1/machines/${id}/status/stream`, "1");
    expect(here.map(({ id: revision }) => revision)).toEqual(here.map((_, at) => String(at + 2)));
    expect(here.at(-1)?.data).toMatchObject({ status: { phase: "destroyed" } });
    expect(await read(`${local.dedalus}/v1/machines/${asDedalus(id)}/status/stream`, "1")).toEqual(here);
    const none = await api.ask("GET", "/v1/machines/mch_none/status/stream", { undocumented: true });
    expect(told(none)).toEqual([404, "machine_not_found"]);
    const foreign = await api.ask("GET", `/v1/machines/${asDedalus(id)}/status/stream`, {
      undocumented: true,
    });
    expect(told(foreign)).toEqual([404, "machine_not_found"]);
  });
});
