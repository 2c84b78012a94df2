/** POST /local/v1/machines: what either vendor's create knows, in one, answered at once. */
import type { Local } from "../../../local/src/start-local";
import { locations, OwnApi, startTestLocal } from "./control-plane";

let local: Local;
let api: OwnApi;
beforeAll(async () => {
  local = await startTestLocal();
  api = new OwnApi(local);
});
afterAll(() => local.close());

const size = { vcpu: 0.5, memory_mib: 512, storage_gib: 3 };

it("a machine has the sizes of one API and the traits of the other, and the answer does not wait", async () => {
  const { status, json, headers } = await api.ask("/machines", {
    dedalus: { ...size, autosleep: "15m" },
    nullspace: {
      metadata: { team: "blue", "pulumi:stack": "dev" },
      envs: { SECRET: "s3cret-value" },
      cwd: "/srv",
      internet_access: false,
      timeout_ms: 3_600_000,
      timeout_action: "hibernate",
      auto_delete_after_ms: 86_400_000,
      auto_resume: true,
    },
  });
  expect(status).toBe(202);
  expect(headers.get("etag")).toBe('"1"');
  expect(json).toMatchObject({ ...size, autosleep_seconds: 900, desired_state: "running" });
  expect(json["status"]).toMatchObject({ phase: "accepted" });
  const id = String(json["machine_id"]).slice(3);
  await api.settled(id, "running");
  const info = await api.info(id);
  expect(info).toMatchObject({
    metadata: { team: "blue", "pulumi:stack": "dev" },
    cwd: "/srv",
    timeout_ms: 3_600_000,
    timeout_action: "hibernate",
    auto_delete_after_ms: 86_400_000,
    config: { disk_mb: 3072, memory_mb: 512 },
  });
  expect(JSON.stringify([json, info])).not.toContain("s3cret-value");
});

it("without a timeout there is no lease, and the autosleep is the documented one", async () => {
  const id = await api.running({ dedalus: size });
  const info = await api.info(id);
  expect(info).not.toHaveProperty("timeout_ms");
  expect(info).not.toHaveProperty("timeout_at");
  expect(info["inactivity_timeout_ms"]).toBe(300_000);
});

it.each([
  ["another clock for idleness", { inactivity_timeout_ms: 60_000 }],
  ["no sleep at all", { ephemeral: true }],
])("there is no autosleep by default beside %s", async (_, nullspace) => {
  const { json } = await api.ask("/machines", { dedalus: size, nullspace });
  expect(json["autosleep_seconds"]).toBe(0);
});

it("a repeated key answers the same machine, byte for byte; another body under it is refused", async () => {
  const body = { dedalus: size, nullspace: { metadata: { a: 1, b: { c: 2 } } } };
  const first = await api.ask("/machines", body, "one-key");
  const reordered = { nullspace: { metadata: { b: { c: 2 }, a: 1 } }, dedalus: size };
  const again = await api.ask("/machines", reordered, "one-key");
  expect(again.json).toEqual(first.json);
  const other = await api.ask("/machines", { dedalus: size }, "one-key");
  expect([other.status, other.json["error_code"]]).toEqual([409, "IDEMPOTENCY_KEY_REUSED"]);
  const elsewhere = await api.dedalus.ask("POST", "/v1/machines", { body: size, key: "one-key" });
  expect(elsewhere.json["error_code"]).toBe("IDEMPOTENCY_KEY_REUSED");
});

it("everything that is wrong is told at once, each at its place", async () => {
  const answer = await api.ask("/machines", {
    dedalus: { vcpu: 0.3, memory_mib: 512, autosleep: "soon" },
    nullspace: { vcpus: 1, memory_mb: 1, disk_mb: 1, envs: { "1A": "x" }, cwd: "relative", surprise: 1 },
  });
  expect(answer.status).toBe(422);
  expect(locations(answer)).toEqual([
    "body.dedalus.autosleep",
    "body.dedalus.storage_gib",
    "body.dedalus.vcpu",
    "body.nullspace.cwd",
    "body.nullspace.disk_mb",
    "body.nullspace.envs.1A",
    "body.nullspace.memory_mb",
    "body.nullspace.surprise",
    "body.nullspace.vcpus",
  ]);
  expect(locations(await api.ask("/machines", { dedalus: size, extra: 1 }))).toEqual(["body.extra"]);
  expect(locations(await api.ask("/machines", { dedalus: size }, null))).toEqual(["header.Idempotency-Key"]);
  expect(
    locations(
      await api.ask("/machines", { dedalus: { ...size, autosleep: "5m" }, nullspace: { ephemeral: true } }),
    ),
  ).toEqual(["body.dedalus.autosleep"]);
  expect(
    locations(
      await api.ask("/machines", {
        fork_of: "dm-1",
        nullspace: { snapshot_id: "snap_1", envs: {}, cwd: "/" },
      }),
    ),
  ).toEqual(["body.fork_of", "body.nullspace.cwd", "body.nullspace.envs"]);
  expect(locations(await api.ask("/machines", { fork_of: "mch_1" }))).toEqual(["body.fork_of"]);
});

it.each([
  [{ dedalus: size, nullspace: { template: "other" } }, 404, "template_not_found"],
  [{ nullspace: { snapshot_id: "snap_none" } }, 404, "snapshot_not_found"],
  [{ nullspace: { snapshot_id: "no snapshot" } }, 404, "snapshot_not_found"],
  [{ fork_of: "dm-none" }, 404, "machine_not_found"],
  [{ dedalus: size, nullspace: { network: { egress: { mode: "custom" } } } }, 501, "not_implemented"],
])("%j is refused with %i %s", async (body, status, code) => {
  const answer = await api.ask("/machines", body);
  expect([answer.status, answer.json["error_code"]]).toEqual([status, code]);
});

it("a key that is not the control plane's is refused", async () => {
  const answer = await api.ask("/machines", { dedalus: size }, "k", "another-key-1234");
  expect([answer.status, answer.json["error_code"]]).toEqual([401, "AUTH_INVALID"]);
});

it("the fault script meets these calls as it meets those of the dialects", async () => {
  const refuse = { status: 503, errorCode: "DEPENDENCY_UNAVAILABLE", message: "as asked", retryable: true };
  const headers = { authorization: `Bearer ${local.apiKey}`, "content-type": "application/json" };
  const put = (rules: object[]) =>
    fetch(`${local.url}/local/faults`, { method: "PUT", headers, body: JSON.stringify({ rules }) });
  const rule = { on: "request", method: "POST", path: "/v1/machines", times: 1, refuse };
  const accepted = await put([rule]);
  expect([accepted.status, await accepted.text()]).toEqual([200, expect.anything()]);
  const answer = await api.ask("/machines", { dedalus: size });
  expect([answer.status, answer.json["error_code"]]).toEqual([503, "DEPENDENCY_UNAVAILABLE"]);
  expect((await put([])).status).toBe(200);
});

it("a timeout is set anew, and taken away", async () => {
  const id = await api.running({ dedalus: size });
  const path = `/machines/dm-${id}/timeout`;
  const set = await api.ask(path, { timeout_ms: 7_200_000, timeout_action: "hibernate" }, null);
  expect([set.status, set.json["machine_id"]]).toEqual([200, `dm-${id}`]);
  expect(await api.info(id)).toMatchObject({ timeout_ms: 7_200_000, timeout_action: "hibernate" });
  expect((await api.ask(path, { timeout_ms: null }, null)).status).toBe(200);
  expect(await api.info(id)).not.toHaveProperty("timeout_at");
  expect(locations(await api.ask(path, { timeout_ms: 0 }, null))).toEqual(["body.timeout_ms"]);
  const gone = await api.ask("/machines/dm-none/timeout", { timeout_ms: null }, null);
  expect([gone.status, gone.json["error_code"]]).toEqual([404, "machine_not_found"]);
});
