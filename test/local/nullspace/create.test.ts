/** Create: every field, every contradiction, and what cannot be had here. */
import type { Local } from "../../../local/src/start-local";
import { Api, locations, newKey, plain, startTestLocal, told } from "./control-plane";

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

const create = (body: unknown, key?: string | null) =>
  api.ask("POST", "/v1/machines", { body, ...(key === undefined ? {} : { key }) });

describe("a create", () => {
  it("answers when the machine runs, with what it asked for", async () => {
    const answer = await create({
      ...{ template: "base", vcpus: 2, memory_mb: 512, disk_mb: 2049 },
      ...{ timeout_ms: 60_000, timeout_action: "hibernate", auto_resume: true },
      ...{ inactivity_timeout_ms: 30_000, auto_delete_after_ms: 90_000 },
      ...{ envs: { TOKEN: "secret-value" }, metadata: { run: "docs", deep: { a: [1, null] } } },
      ...{ internet_access: true, cwd: "/work//src/../", lifecycle: { on_timeout: "pause" } },
    });
    expect(answer.status).toBe(201);
    expect(answer.json).toMatchObject({
      status: "running",
      config: { vcpus: 2, memory_mb: 512, disk_mb: 3072 },
      template: "base",
      timeout_ms: 60_000,
      timeout_action: "hibernate",
      metadata: { run: "docs", deep: { a: [1, null] } },
      cwd: "/work",
    });
    expect(answer.json["id"]).toMatch(/^mch_[a-z0-9]+$/);
    expect(answer.json["expires_at"]).toBe(answer.json["timeout_at"]);
    expect(answer.body).not.toContain("secret-value");
    const got = await api.ask("GET", `/v1/machines/${String(answer.json["id"])}`);
    expect(got.json).toMatchObject({
      ...answer.json,
      ephemeral: false,
      inactivity_timeout_ms: 30_000,
      auto_delete_after_ms: 90_000,
    });
    expect(Number(got.json["remaining_ms"])).toBeLessThanOrEqual(60_000);
    expect(got.body).not.toMatch(/secret-value|null,|snapshot_id/);
  });

  it("of nothing gets the vendor's defaults, which hold only for what is absent", async () => {
    const answer = await create({});
    expect(answer.json).toMatchObject({
      config: { vcpus: 1, memory_mb: 256, disk_mb: 10_240 },
      template: "base",
      timeout_ms: 300_000,
      timeout_action: "destroy",
      metadata: {},
    });
    expect(answer.json).not.toHaveProperty("cwd");
    expect(answer.json).not.toHaveProperty("warm_pool_checkout");
  });

  it("takes the explicit nulls that the vendor's client sends", async () => {
    const body = { ...plain, cwd: null, desktop: null, network: null, volumes: null, snapshot_id: null };
    expect((await create({ ...body, auto_resume: false, envs: {}, metadata: {} })).status).toBe(201);
  });

  it.each([
    ["internet_access: false", { internet_access: false }, "deny_all"],
    ["a policy", { internet_access: true, network: { egress: { mode: "deny_all" } } }, "deny_all"],
    ["the older list", { network: { deny_out: ["0.0.0.0/0"], allow_out: [] } }, "deny_all"],
    ["a policy of everything", { network: { egress: { mode: "allow_all", allow_cidrs: [] } } }, "allow_all"],
    ["nothing", { network: { allow_public_traffic: true } }, "allow_all"],
  ])("with %s of the network gets it", async (_name, fields, egress) => {
    const id = await api.machine(fields);
    expect((await local.controlPlane.machines.get(id.slice(4))).egress).toBe(egress);
  });

  it.each([
    ["prefer", { id: "pool-1" }, { source: "cold_create", hit: false, id: "pool-1", mode: "prefer" }],
    ["bypass", { mode: "bypass" }, { source: "bypassed", hit: false, mode: "bypass" }],
  ])("with a warm pool in the mode %s is told that there was none", async (_mode, pool, checkout) => {
    const key = newKey();
    const body = { ...plain, warm_pool: pool };
    const answer = await create(body, key);
    expect(answer.json["warm_pool_checkout"]).toEqual(checkout);
    expect((await create(body, key)).json["warm_pool_checkout"]).toEqual(checkout);
  });
});

describe("a create that is wrong", () => {
  it("is told everything at once, without its values", async () => {
    const body = {
      ...{ vcpus: 0, memory_mb: 1, disk_mb: 1.5, timeout_ms: 0, cwd: "relative" },
      ...{ envs: { "A-B": "secret-value", C: 1 }, color: "red", metadata: [] },
    };
    const answer = await create(body);
    expect(told(answer)).toEqual([400, "invalid_request"]);
    const places = ["color", "cwd", "disk_mb", "envs.A-B", "envs.C", "memory_mb", "metadata"];
    expect(locations(answer)).toEqual([...places, "timeout_ms", "vcpus"].map((name) => `body.${name}`));
    expect(answer.body).not.toMatch(/secret-value|"value"/);
    expect(answer.json["error"]).toContain("body.vcpus: must be from 1 to 16 vCPUs");
  });

  it.each([
    ["a list", [], "body"],
    ["a text for a number", { vcpus: "1" }, "body.vcpus"],
    ["half a vCPU", { vcpus: 0.5 }, "body.vcpus"],
    ["too many vCPUs", { vcpus: 17 }, "body.vcpus"],
    ["a number beyond 2^53", { memory_mb: 9007199254740993 }, "body.memory_mb"],
    ["a disk that is too large", { disk_mb: 1024 * 1024 + 1 }, "body.disk_mb"],
    ["a timeout of centuries", { timeout_ms: 1e15 }, "body.timeout_ms"],
    ["an idle limit of nothing", { inactivity_timeout_ms: 0 }, "body.inactivity_timeout_ms"],
    ["an unknown action", { timeout_action: "pause" }, "body.timeout_action"],
    ["the other spelling's action", { lifecycle: { on_timeout: "hibernate" } }, "body.lifecycle.on_timeout"],
    [
      "two actions",
      { timeout_action: "destroy", lifecycle: { on_timeout: "pause" } },
      "body.lifecycle.on_timeout",
    ],
    ["ephemeral that hibernates", { ephemeral: true, timeout_action: "hibernate" }, "body.ephemeral"],
    ["ephemeral that resumes", { ephemeral: true, auto_resume: true }, "body.auto_resume"],
    ["auto_resume of what is destroyed", { auto_resume: true }, "body.auto_resume"],
    ["the reserved folder", { cwd: "/workspace/./.nullspace/x" }, "body.cwd"],
    ["a null byte in a folder", { cwd: "/a\0" }, "body.cwd"],
    ["too much metadata", { metadata: { a: "x".repeat(65_536) } }, "body.metadata"],
    ["a null byte in a variable", { envs: { A: "\0" } }, "body.envs.A"],
    ["an unknown member of the network", { network: { speed: 1 } }, "body.network.speed"],
    [
      "no internet and all of it",
      { internet_access: false, network: { egress: { mode: "allow_all" } } },
      "body.network.egress.mode",
    ],
    ["a pool without a name", { warm_pool: { mode: "prefer" } }, "body.warm_pool.id"],
    ["an unknown mode of a pool", { warm_pool: { mode: "try", id: "a" } }, "body.warm_pool.mode"],
  ])("with %s is refused there", async (_name, body, place) => {
    const answer = await create(body);
    expect([told(answer), locations(answer)]).toEqual([[400, "invalid_request"], [place]]);
  });

  it("because a snapshot gives what it asks for is told so", async () => {
    const answer = await create({
      ...{ snapshot_id: "snap_a", template: "base", vcpus: 1, memory_mb: 256, disk_mb: 1024, envs: {} },
      ...{ cwd: "/a", internet_access: true, network: { egress: { mode: "deny_all" }, deny_out: [] } },
    });
    const names = ["cwd", "disk_mb", "envs", "internet_access", "memory_mb", "network.deny_out"];
    expect(locations(answer)).toEqual(
      [...names, "network.egress", "template", "vcpus"].map((name) => `body.${name}`),
    );
  });

  it.each([
    ["template", { template: "python-3.12" }, [404, "template_not_found"]],
    ["snapshot", { snapshot_id: "snap_none" }, [404, "snapshot_not_found"]],
    ["text for a snapshot", { snapshot_id: "latest" }, [404, "snapshot_not_found"]],
    ["warm pool", { warm_pool: { id: "a", mode: "require" } }, [503, "warm_pool_unavailable"]],
  ])("since there is no such %s is told so", async (_name, body, code) => {
    expect(told(await create(body))).toEqual(code);
  });

  it.each([
    ["desktop", { desktop: { dpi: 96 } }],
    ["volumes", { volumes: [{ ref: "v", mount_path: "/v" }] }],
    ["network.allow_public_traffic", { network: { allow_public_traffic: false } }],
    ["network.mask_request_host", { network: { mask_request_host: "a" } }],
    ["network.egress.mode", { network: { egress: { mode: "custom" } } }],
    ["network.egress.deny_cidrs", { network: { egress: { mode: "allow_all", deny_cidrs: ["10.0.0.0/8"] } } }],
    ["network.egress.rate_limit", { network: { egress: { mode: "allow_all", rate_limit: { pps: 1 } } } }],
    ["network.deny_out", { network: { deny_out: ["10.0.0.0/8"] } }],
  ])("for it needs %s names what is not implemented", async (name, body) => {
    const answer = await create(body);
    expect(told(answer)).toEqual([501, "not_implemented"]);
    expect(answer.json["error"]).toContain(name);
  });

  it.each([null, "", "x".repeat(256)])("with the key %s is refused", async (key) => {
    const answer = await create(plain, key);
    expect([told(answer), locations(answer)]).toEqual([[400, "invalid_request"], ["header.Idempotency-Key"]]);
  });
});

describe("a machine that cannot start", () => {
  it("answers why, keeps the machine in the state error, and says the same for the same key", async () => {
    const fail = { reason: "image_missing", lastError: "no such image", retryable: true };
    local.faults.replace({ rules: [{ on: "start", after: 0, times: 1, fail }] });
    const key = newKey();
    const answer = await create(plain, key);
    expect(told(answer)).toEqual([503, "internal_error"]);
    const { machine_id: id } = answer.json["details"] as { machine_id: string };
    expect(answer.json).toMatchObject({
      retryable: true,
      details: { machine_id: id, status: "error", reason: "image_missing", last_error: "no such image" },
    });
    expect(answer.json["error"]).toContain(`machine ${id} could not start: image_missing: no such image`);
    expect(await api.statusOf(id)).toBe("error");
    expect((await api.list("?state=error")).map((machine) => machine["id"])).toContain(id);
    expect(told(await create(plain, key))).toEqual([503, "internal_error"]);

    const resumed = await api.ask("POST", `/v1/machines/${id}/resume`);
    expect([resumed.status, resumed.json["status"]]).toEqual([200, "running"]);
    const again = await create(plain, key);
    expect([again.status, again.json["id"]]).toEqual([201, id]);
  });

  it("for want of room is told as capacity", async () => {
    await using small = await startTestLocal({ capacity: { memoryMiB: 256, placementTimeoutMs: 0 } });
    const tight = new Api(small);
    await tight.machine();
    const answer = await tight.ask("POST", "/v1/machines", { body: plain });
    expect(told(answer)).toEqual([503, "capacity_exceeded"]);
    expect(answer.json["retryable"]).toBe(true);
  });
});
