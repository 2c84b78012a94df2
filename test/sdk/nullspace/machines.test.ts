import type { NullspaceClient } from "../../../sdk/src/nullspace/client";
import type { NullspaceContext } from "../../../sdk/src/nullspace/context";
import { DispatchProofs } from "../../../sdk/src/nullspace/dispatch-proofs";
import { ExecRest } from "../../../sdk/src/nullspace/exec-rest";
import { Machines } from "../../../sdk/src/nullspace/machines";
import { sendJson } from "../loopback";
import { closeAll, failureOf, serve, wireMachine } from "./client-to";

afterEach(closeAll);

const snapshot = {
  id: "snap_1",
  machine_id: "mch_one",
  size_bytes: 7,
  created_at: "2026-05-12T00:00:00Z",
  metadata: { a: 1 },
};

describe("create", () => {
  test("sends every field in the wire's words, and nothing that was not given", async () => {
    const { client, server } = await serve((response) => sendJson(response, 201, wireMachine()));
    await client.machines.create({
      template: "python",
      vcpus: 2,
      memoryMb: 512,
      diskMb: 2048,
      timeoutMs: 60_000,
      timeoutAction: "hibernate",
      lifecycle: { onTimeout: "pause" },
      inactivityTimeoutMs: 5_000,
      autoDeleteAfterMs: 9_000,
      ephemeral: false,
      autoResume: true,
      envs: { A: "b" },
      metadata: { run: "docs", deep: { x: 1 } },
      internetAccess: false,
      cwd: "/work",
      desktop: { resolution: { width: 800, height: 600 }, dpi: 96, display: ":1" },
      network: {
        allowPublicTraffic: false,
        maskRequestHost: "h",
        egress: {
          mode: "custom",
          allowCidrs: ["10.0.0.0/8"],
          denyCidrs: [],
          rateLimit: { pps: 5, burst: 2 },
        },
        denyOut: ["1.1.1.1"],
        allowOut: ["8.8.8.8"],
      },
      volumes: [{ ref: "v", mountPath: "/v", subpath: "s", readOnly: true }],
      warmPool: { id: "w", mode: "prefer", waitMs: 10 },
    });
    await client.machines.create();
    expect(JSON.parse(server.seen[0]?.body ?? "")).toEqual({
      template: "python",
      vcpus: 2,
      memory_mb: 512,
      disk_mb: 2048,
      timeout_ms: 60_000,
      timeout_action: "hibernate",
      lifecycle: { on_timeout: "pause" },
      inactivity_timeout_ms: 5_000,
      auto_delete_after_ms: 9_000,
      ephemeral: false,
      auto_resume: true,
      envs: { A: "b" },
      metadata: { run: "docs", deep: { x: 1 } },
      internet_access: false,
      cwd: "/work",
      desktop: { resolution: { width: 800, height: 600 }, dpi: 96, display: ":1" },
      network: {
        allow_public_traffic: false,
        mask_request_host: "h",
        egress: {
          mode: "custom",
          allow_cidrs: ["10.0.0.0/8"],
          deny_cidrs: [],
          rate_limit: { pps: 5, burst: 2 },
        },
        deny_out: ["1.1.1.1"],
        allow_out: ["8.8.8.8"],
      },
      volumes: [{ ref: "v", mount_path: "/v", subpath: "s", read_only: true }],
      warm_pool: { id: "w", mode: "prefer", wait_ms: 10 },
    });
    expect(server.seen[1]?.body).toBe("{}");
    expect(new Set(server.seen.map(({ headers }) => headers["idempotency-key"])).size).toBe(2);
  });

  test("from a snapshot sends the snapshot and the policies, and refuses what the snapshot decides", async () => {
    const { client, server } = await serve((response) => sendJson(response, 201, wireMachine()));
    await client.machines.create({ snapshotId: "snap_1", timeoutMs: 1_000, autoResume: true });
    expect(server.seen[0]?.body).toBe('{"snapshot_id":"snap_1","timeout_ms":1000,"auto_resume":true}');
    const wrong = { snapshotId: "snap_1", vcpus: 2, network: { denyOut: ["0.0.0.0/0"] } };
    const error = await failureOf(client.machines.create(wrong));
    expect(error).toMatchObject({ name: "UsageError", code: "invalid_argument" });
    expect(error.message).toContain("vcpus, network.denyOut");
    expect(server.seen).toHaveLength(1);
  });

  test("gives the proof that it got back with commands, to that machine only, and never shows it", async () => {
    const { client, server } = await serve((response, { url }) =>
      url === "/v1/machines"
        ? sendJson(response, 201, wireMachine(), { "x-nullspace-dispatch-proof": "proof-1" })
        : sendJson(response, 200, { exit_code: 0, stdout: "", stderr: "" }),
    );
    // The context as the client has it: what it is made of is not for its users.
    const { context } = client as unknown as { context: NullspaceContext };
    const proofs = new DispatchProofs();
    await new Machines(context, proofs).create();
    const exec = new ExecRest(context, proofs);
    await exec.run("mch_one", { command: "true" });
    await exec.run("mch_two", { command: "true" });
    const sent = server.seen.map(({ headers }) => headers["x-nullspace-dispatch-proof"]);
    expect(sent).toEqual([undefined, "proof-1", undefined]);
  });
});

test("every other call goes where the contract says; only those that need a key have one", async () => {
  const { client, server } = await serve((response, { method, url }) => {
    if (url.endsWith("/hibernate") || url.endsWith("/snapshots")) return sendJson(response, 200, snapshot);
    if (url.endsWith("/timeout"))
      return sendJson(response, 200, { timeout_ms: 1_000, timeout_action: "destroy", remaining_ms: 1_000 });
    if (url.endsWith("/metrics")) return sendJson(response, 200, []);
    if (url.endsWith("/host")) return sendJson(response, 200, { host: "h:1", url: null });
    if (url.endsWith("/egress"))
      return sendJson(response, 200, { machine_id: "mch_one", egress: { mode: "deny_all" } });
    if (url === "/v1/snapshots?machine_id=mch_one&metadata=%7B%22a%22%3A1%7D")
      return sendJson(response, 200, [snapshot]);
    if (url === "/v1/snapshots/snap_1")
      return method === "DELETE" ? response.writeHead(204).end() : sendJson(response, 200, snapshot);
    if (method === "DELETE") return response.writeHead(200).end();
    return sendJson(response, 200, wireMachine());
  });
  const { machines, snapshots } = client;
  expect(await machines.hibernate("mch_one")).toMatchObject({
    id: "snap_1",
    sizeBytes: 7,
    metadata: { a: 1 },
  });
  await machines.pause("mch_one");
  await machines.resume("mch_one");
  await machines.fork("mch_one", { idempotencyKey: "fork-key" });
  expect(await machines.setTimeout("mch_one", { timeoutMs: 1_000 })).toEqual({
    timeoutMs: 1_000,
    timeoutAction: "destroy",
    remainingMs: 1_000,
  });
  expect(await machines.metrics("mch_one")).toEqual([]);
  expect(await machines.host("mch_one", 80)).toEqual({ host: "h:1" });
  expect(await machines.updateEgress("mch_one", { mode: "deny_all" })).toEqual({ mode: "deny_all" });
  await snapshots.create("mch_one", { idempotencyKey: "snapshot-key" });
  expect((await snapshots.list({ machineId: "mch_one", metadata: { a: 1 } }).page()).items).toHaveLength(1);
  await snapshots.get("snap_1");
  await snapshots.delete("snap_1");
  expect(await machines.delete("mch_one")).toEqual({ id: "mch_one", status: "destroyed" });
  expect(
    server.seen.map(({ method, url, body, headers }) => [method, url, body, headers["idempotency-key"]]),
  ).toEqual([
    ["POST", "/v1/machines/mch_one/hibernate", "", undefined],
    ["POST", "/v1/machines/mch_one/hibernate", "", undefined],
    ["POST", "/v1/machines/mch_one/resume", "", undefined],
    ["POST", "/v1/machines/mch_one/fork", "", "fork-key"],
    ["POST", "/v1/machines/mch_one/timeout", '{"timeout_ms":1000}', undefined],
    ["GET", "/v1/machines/mch_one/metrics", "", undefined],
    ["POST", "/v1/machines/mch_one/host", '{"port":80}', undefined],
    ["PATCH", "/v1/machines/mch_one/egress", '{"egress":{"mode":"deny_all"}}', undefined],
    ["POST", "/v1/machines/mch_one/snapshots", "", "snapshot-key"],
    ["GET", "/v1/snapshots?machine_id=mch_one&metadata=%7B%22a%22%3A1%7D", "", undefined],
    ["GET", "/v1/snapshots/snap_1", "", undefined],
    ["DELETE", "/v1/snapshots/snap_1", "", undefined],
    ["DELETE", "/v1/machines/mch_one", "", undefined],
  ]);
  const bodiless = server.seen.filter(({ method, body }) => method === "POST" && body === "");
  expect(bodiless.map(({ headers }) => [headers["content-length"], headers["content-type"]])).toEqual(
    bodiless.map(() => ["0", undefined]),
  );
});

test("a machine keeps what this version does not know, and an unknown state does not crash", async () => {
  const wire = wireMachine("mch_one", {
    status: "defrosting",
    color: "green",
    remaining_ms: null,
    expires_at: "2026-05-13T00:00:00Z",
  });
  const { client } = await serve((response) => sendJson(response, 200, wire));
  const machine = await client.machines.get("mch_one");
  expect(machine).toMatchObject({
    status: "defrosting",
    timeoutAt: "2026-05-13T00:00:00Z",
    raw: { color: "green" },
  });
  expect(machine).not.toHaveProperty("remainingMs");
});

test("a field mask asks for wire names and answers what came", async () => {
  const { client, server } = await serve((response) =>
    sendJson(response, 200, { id: "mch_one", created_at: "2026-05-12T00:00:00Z" }),
  );
  const machine = await client.machines.get("mch_one", { fields: ["id", "createdAt", " id ", "new_one"] });
  expect(machine).toMatchObject({ id: "mch_one", createdAt: "2026-05-12T00:00:00Z" });
  expect(machine).not.toHaveProperty("status");
  expect(server.seen[0]?.url).toBe("/v1/machines/mch_one?fields=id%2Ccreated_at%2Cnew_one");
});

describe("connect", () => {
  const paused = async (status: string) =>
    serve((response, { method, url }) => {
      if (url.endsWith("/timeout"))
        return sendJson(response, 200, { timeout_ms: 5_000, timeout_action: "destroy" });
      return sendJson(response, 200, wireMachine("mch_one", method === "GET" ? { status } : {}));
    });

  test("reads a running machine, and nothing else", async () => {
    const { client, server } = await paused("running");
    expect(await client.machines.connect("mch_one")).toMatchObject({ status: "running" });
    expect(server.seen.map(({ url }) => url)).toEqual(["/v1/machines/mch_one"]);
  });

  test("wakes a paused one, starts its lease anew, and reads it again", async () => {
    const { client, server } = await paused("paused");
    await client.machines.connect("mch_one", { timeoutMs: 5_000 });
    expect(server.seen.map(({ method, url }) => `${method} ${url}`)).toEqual([
      "GET /v1/machines/mch_one",
      "POST /v1/machines/mch_one/resume",
      "POST /v1/machines/mch_one/timeout",
      "GET /v1/machines/mch_one",
    ]);
  });
});

test.each<[string, (client: NullspaceClient) => Promise<unknown>]>([
  ["an empty id", (client) => client.machines.get("")],
  ["an id that names another path", (client) => client.machines.delete("..")],
  ["half a processor", (client) => client.machines.create({ vcpus: 0.5 })],
  ["a port beyond the last", (client) => client.machines.host("mch_one", 65_536)],
  ["no time", (client) => client.machines.setTimeout("mch_one", { timeoutMs: 0 })],
  ["no fields", (client) => client.machines.get("mch_one", { fields: [] })],
  ["a key with a space", (client) => client.machines.fork("mch_one", { idempotencyKey: "a b" })],
])("%s is refused before anything is sent", async (_name, call) => {
  const { client, server } = await serve((response) => sendJson(response, 200, wireMachine()));
  expect(await failureOf(call(client))).toMatchObject({ name: "UsageError", code: "invalid_argument" });
  expect(server.seen).toEqual([]);
});

test("an answer that is no machine is an error that names what is missing", async () => {
  const { client } = await serve((response) => sendJson(response, 200, { hello: 1 }));
  const error = await failureOf(client.machines.get("mch_one"));
  expect(error).toMatchObject({ name: "ProtocolError", code: "unexpected_answer" });
  expect(error.message).toContain("status");
});
