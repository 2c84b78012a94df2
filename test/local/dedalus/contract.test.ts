/** Every answer of the control plane is one that the vendor's contract documents. */
import type { Local } from "../../../local/src/start-local";
import { dedalusContract } from "../../contracts/contract";
import { Api, eventually, newKey, phase, revision, smallest, startTestLocal } from "./control-plane";

const contract = dedalusContract();
const operations = Object.entries(contract.paths).flatMap(([template, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({
    template,
    operation,
    method: method.toUpperCase(),
    path: template.replace("{machine_id}", "dm-none").replaceAll(/\{[^}]+\}/g, "none"),
  })),
);

let local: Local;
let api: Api;
beforeAll(async () => {
  local = await startTestLocal({
    organizationId: "0b7f0f0a-6f0e-4c39-9a53-6b7d3f0f8a11",
    capacity: { vcpu: 64, memoryMiB: 32_768, placementTimeoutMs: 0 },
    sleepHoldWindowMs: 60_000,
  });
  api = new Api(local);
});
afterAll(() => local.close());
afterEach(() => {
  local.faults.replace({ rules: [] });
});

describe("every operation", () => {
  it.each(operations)("$method $template asks for a key", async ({ method, path }) => {
    const missing = await api.ask(method, path, { headers: { authorization: "" } });
    expect([missing.status, missing.json["error_code"]]).toEqual([401, "AUTH_REQUIRED"]);
    const wrong = await api.ask(method, path, { headers: { authorization: "Bearer nonsense" } });
    expect([wrong.status, wrong.json["error_code"]]).toEqual([401, "AUTH_INVALID"]);
    expect(wrong.body).not.toContain("nonsense");
  });

  it.each(operations)("$method $template refuses another organization", async ({ method, path }) => {
    const headers = { "x-dedalus-org-id": "9a1d4c0e-0000-4000-8000-000000000000" };
    const answer = await api.ask(method, path, { headers });
    expect([answer.status, answer.json["error_code"]]).toEqual([403, "AUTH_ORG_MISMATCH"]);
  });

  it.each(operations.filter(({ operation }) => "503" in operation.responses))(
    "$method $template can be unavailable or over its rate",
    async ({ method, path }) => {
      const refuse = { errorCode: "DEPENDENCY_UNAVAILABLE", message: "runtime unavailable" };
      local.faults.replace({
        rules: [
          {
            on: "request",
            after: 0,
            times: 1,
            loseAnswer: false,
            refuse: { ...refuse, status: 503, retryable: false },
          },
          {
            on: "request",
            after: 0,
            loseAnswer: false,
            refuse: {
              status: 429,
              errorCode: "RATE_LIMITED",
              message: "slow down",
              retryable: true,
              retryAfterMs: 84,
            },
          },
        ],
      });
      const down = await api.ask(method, path);
      expect([down.status, down.headers.get("x-should-retry")]).toEqual([503, "false"]);
      const limited = await api.ask(method, path);
      expect([
        limited.status,
        limited.headers.get("retry-after-ms"),
        limited.headers.get("retry-after"),
      ]).toEqual([429, "84", "1"]);
    },
  );

  it("accepts the key in either header, and the organization's own name", async () => {
    const headers = { authorization: "", "x-api-key": local.apiKey };
    expect((await api.ask("GET", "/v1/machines", { headers })).status).toBe(200);
    const organization = { "x-dedalus-org-id": "0b7f0f0a-6f0e-4c39-9a53-6b7d3f0f8a11" };
    expect((await api.ask("GET", "/v1/machines", { headers: organization })).status).toBe(200);
  });
});

describe("a machine's life", () => {
  it("is created with 202, converges to running, and is answered with its revision as ETag", async () => {
    const created = await api.ask("POST", "/v1/machines", { body: { ...smallest, autosleep: "15m" } });
    expect(created.status).toBe(202);
    expect(created.json).toMatchObject({ ...smallest, autosleep_seconds: 900, desired_state: "running" });
    expect(created.headers.get("etag")).toBe(`"${revision(created.json)}"`);
    const id = String(created.json["machine_id"]);
    const events = await api.settle(id);
    expect(events.at(-1)?.data).toMatchObject({ machine_id: id, status: { phase: "running" } });
    const got = await api.ask("GET", `/v1/machines/${id}`);
    expect([got.status, phase(got.json), got.headers.get("etag")]).toEqual([
      200,
      "running",
      `"${revision(got.json)}"`,
    ]);
  });

  it("sleeps five minutes after the last activity unless it is told otherwise", async () => {
    const { json } = await api.ask("POST", "/v1/machines", { body: smallest });
    expect(json["autosleep_seconds"]).toBe(300);
    const never = await api.ask("POST", "/v1/machines", { body: { ...smallest, autosleep: "never" } });
    expect(never.json["autosleep_seconds"]).toBe(0);
  });

  it("changes in place with 200, and not at all when nothing differs", async () => {
    const id = await api.machine();
    const bigger = await api.ask("PATCH", `/v1/machines/${id}`, { body: { vcpu: 0.5, storage_gib: 2 } });
    expect([bigger.status, bigger.json["vcpu"], bigger.json["storage_gib"]]).toEqual([200, 0.5, 2]);
    const same = await api.ask("PATCH", `/v1/machines/${id}`, { body: { vcpu: 0.5 } });
    expect([same.status, revision(same.json)]).toEqual([200, revision(bigger.json)]);
    const empty = await api.ask("PATCH", `/v1/machines/${id}`, { body: {} });
    expect([empty.status, revision(empty.json)]).toEqual([200, revision(bigger.json)]);
  });

  it("changes with 202 while it is still starting", async () => {
    local.faults.replace({ rules: [{ on: "start", after: 0, times: 1, stallMs: 60_000 }] });
    const { json } = await api.ask("POST", "/v1/machines", { body: smallest });
    const path = `/v1/machines/${String(json["machine_id"])}`;
    const changed = await api.ask("PATCH", path, { body: { autosleep: "1h" } });
    expect([changed.status, changed.json["autosleep_seconds"]]).toEqual([202, 3600]);
    await api.ask("DELETE", path);
  });

  it("sleeps, wakes and is destroyed, each with 202 and then 200 where it holds already", async () => {
    const id = await api.machine();
    const asleep = await api.ask("POST", `/v1/machines/${id}/sleep`);
    expect([asleep.status, asleep.json["desired_state"]]).toEqual([202, "sleeping"]);
    expect((await api.settle(id)).at(-1)?.data).toMatchObject({ status: { phase: "sleeping" } });
    expect((await api.ask("POST", `/v1/machines/${id}/sleep`)).status).toBe(200);
    expect((await api.ask("POST", `/v1/machines/${id}/wake`, { body: {} })).status).toBe(202);
    await api.settle(id);
    expect((await api.ask("POST", `/v1/machines/${id}/wake`)).status).toBe(200);
    expect((await api.ask("DELETE", `/v1/machines/${id}`)).status).toBe(202);
    await api.settle(id);
    expect((await api.ask("DELETE", `/v1/machines/${id}`)).status).toBe(200);
    expect(await api.phaseOf(id)).toBe("destroyed");
  });

  it("is listed newest first, in pages, until it is destroyed", async () => {
    const ids = [await api.machine(), await api.machine(), await api.machine()];
    const first = await api.ask("GET", "/v1/machines?limit=2");
    const items = first.json["items"] as { machine_id: string }[];
    expect(items.map((item) => item.machine_id)).toEqual([ids[2], ids[1]]);
    const next = await api.ask("GET", `/v1/machines?limit=1&cursor=${String(first.json["next_cursor"])}`);
    expect((next.json["items"] as { machine_id: string }[])[0]?.machine_id).toBe(ids[0]);
    await api.ask("DELETE", `/v1/machines/${String(ids[1])}`);
    await api.settle(String(ids[1]));
    const all = await api.ask("GET", "/v1/machines?limit=1000");
    const left = (all.json["items"] as { machine_id: string }[]).map((item) => item.machine_id);
    expect(left).toEqual(expect.arrayContaining([ids[0], ids[2]]));
    expect(left).not.toContain(ids[1]);
    expect(all.json).not.toHaveProperty("next_cursor");
  });
});

describe("executions", () => {
  it("run, can be read, listed, followed and removed", async () => {
    const id = await api.machine();
    const base = `/v1/machines/${id}/executions`;
    const body = { command: ["true"], cwd: "/", env: { A: "b" }, stdin: "x", timeout_ms: 1000 };
    const created = await api.ask("POST", base, { body });
    expect(created.status).toBe(200);
    expect(created.json).toMatchObject({ machine_id: id, command: ["true"], env_keys: ["A"] });
    expect(created.body).not.toContain('"b"');
    const path = `${base}/${String(created.json["execution_id"])}`;
    await eventually(
      "the command ends",
      async () => (await api.ask("GET", path)).json["status"] === "succeeded",
    );
    expect((await api.ask("GET", `${path}/output`)).json).toMatchObject({ stdout: "", stderr: "" });
    const events = await api.ask("GET", `${path}/events?limit=1`);
    expect(events.json["items"]).toHaveLength(1);
    const rest = await api.ask("GET", `${path}/events?cursor=${String(events.json["next_cursor"])}`);
    expect((rest.json["items"] as { status: string }[]).at(-1)?.status).toBe("succeeded");
    expect((await api.ask("GET", `${base}?limit=1`)).json["items"]).toHaveLength(1);
    expect((await api.ask("DELETE", path)).status).toBe(200);
    expect((await api.ask("GET", path)).status).toBe(404);
    expect((await api.ask("DELETE", path)).status).toBe(404);
  });

  it("wake a sleeping machine first, and say when to ask again", async () => {
    const id = await api.machine();
    await api.ask("POST", `/v1/machines/${id}/sleep`);
    await api.settle(id);
    const created = await api.ask("POST", `/v1/machines/${id}/executions`, { body: { command: ["true"] } });
    expect(created.json).toMatchObject({ status: "wake_in_progress", retry_after_ms: 250 });
  });
});

describe("refusals", () => {
  it("a stale If-Match is a retryable conflict that must not be sent again as it is", async () => {
    const id = await api.machine();
    const calls = [
      ["PATCH", `/v1/machines/${id}`, { vcpu: 0.5 }],
      ["POST", `/v1/machines/${id}/sleep`, undefined],
      ["POST", `/v1/machines/${id}/wake`, undefined],
      ["DELETE", `/v1/machines/${id}`, undefined],
    ] as const;
    for (const [method, path, body] of calls) {
      const answer = await api.ask(method, path, { body, headers: { "if-match": '"999"' } });
      expect([answer.status, answer.headers.get("x-should-retry")]).toEqual([409, "false"]);
      expect(answer.json).toMatchObject({
        error_code: "REVISION_MISMATCH",
        retryable: true,
        details: { provided_revision: "999" },
      });
    }
  });

  it.each(['"R"', "R", 'W/"R"', "*"])("If-Match %s matches revision R", async (form) => {
    const id = await api.machine();
    const { json } = await api.ask("GET", `/v1/machines/${id}`);
    const headers = { "if-match": form.replace("R", revision(json)) };
    expect((await api.ask("PATCH", `/v1/machines/${id}`, { body: {}, headers })).status).toBe(200);
  });

  it("a transition that is not possible is INVALID_STATE with both states", async () => {
    local.faults.replace({ rules: [{ on: "place", after: 0, stallMs: 60_000 }] });
    const { json } = await api.ask("POST", "/v1/machines", { body: smallest });
    const id = String(json["machine_id"]);
    const answer = await api.ask("POST", `/v1/machines/${id}/sleep`);
    expect(answer.json).toMatchObject({
      error_code: "INVALID_STATE",
      retryable: false,
      details: { current_desired_state: "running", target_desired_state: "sleeping" },
    });
    expect([answer.status, answer.headers.get("x-should-retry")]).toEqual([409, "false"]);
    await api.ask("DELETE", `/v1/machines/${id}`);
    await api.settle(id);
    expect((await api.ask("PATCH", `/v1/machines/${id}`, { body: {} })).json["error_code"]).toBe(
      "INVALID_STATE",
    );
    const run = await api.ask("POST", `/v1/machines/${id}/executions`, { body: { command: ["true"] } });
    expect([run.status, run.json["error_code"]]).toEqual([409, "INVALID_STATE"]);
  });

  it("sleep within the hold window after a wake says when it is possible", async () => {
    const id = await api.machine();
    await api.ask("POST", `/v1/machines/${id}/sleep`);
    await api.settle(id);
    await api.ask("POST", `/v1/machines/${id}/wake`);
    await api.settle(id);
    const answer = await api.ask("POST", `/v1/machines/${id}/sleep`);
    expect(answer.json).toMatchObject({ error_code: "SLEEP_HOLD_WINDOW_ACTIVE", retryable: true });
    expect(Number(answer.headers.get("retry-after-ms"))).toBe(answer.json["retry_after_ms"]);
    expect(answer.headers.has("x-should-retry")).toBe(false);
  });

  it("a key that is reused for another request is named as such", async () => {
    const key = newKey();
    await api.ask("POST", "/v1/machines", { body: smallest, key });
    const answer = await api.ask("POST", "/v1/machines", { body: { ...smallest, vcpu: 1 }, key });
    expect([answer.status, answer.json["error_code"]]).toEqual([409, "IDEMPOTENCY_KEY_REUSED"]);
    expect(answer.json["details"]).toEqual({
      expected_request_hash: expect.stringMatching(/^[0-9a-f]{64}$/) as unknown,
      provided_request_hash: expect.stringMatching(/^[0-9a-f]{64}$/) as unknown,
    });
  });

  it("a resize without room is a conflict, one that fails is unavailable; the machine stays as it was", async () => {
    const id = await api.machine();
    const path = `/v1/machines/${id}`;
    const large = await api.ask("PATCH", path, { body: { memory_mib: 65_536 } });
    expect([large.status, large.json["error_code"]]).toEqual([409, "INSUFFICIENT_CAPACITY"]);
    const fail = { reason: "resize_failed", lastError: "cgroup: no", retryable: false };
    local.faults.replace({ rules: [{ on: "resize", after: 0, fail }] });
    const broken = await api.ask("PATCH", path, { body: { vcpu: 1 } });
    expect([broken.status, broken.headers.get("x-should-retry")]).toEqual([503, "false"]);
    expect(broken.json["message"]).toContain("cgroup: no");
    expect((await api.ask("GET", path)).json).toMatchObject(smallest);
  });

  it("a machine that failed says so in the contract's words", async () => {
    const fail = { reason: "image_missing", lastError: "no such image", retryable: false };
    local.faults.replace({ rules: [{ on: "start", after: 0, times: 1, fail }] });
    const { json } = await api.ask("POST", "/v1/machines", { body: smallest });
    const events = await api.settle(String(json["machine_id"]));
    expect(events.at(-1)?.data).toMatchObject({
      status: { phase: "failed", reason: "image_missing", last_error: "no such image", retryable: false },
    });
  });

  it("what does not exist is a 404 problem, everywhere", async () => {
    const bodies: Record<string, unknown> = { PATCH: {}, POST: { command: ["true"] } };
    const paths = operations.filter(
      ({ template, method }) =>
        template.includes("{machine_id}") &&
        !/previews|ssh|terminals|(sleep|wake)$/.test(template) &&
        !(method === "POST" && !template.endsWith("executions")),
    );
    for (const { method, path, template } of paths) {
      const undocumented = template.endsWith("status/stream");
      const answer = await api.ask(method, path, { body: bodies[method], undocumented });
      expect([template, answer.status, answer.json["status"]]).toEqual([template, 404, 404]);
    }
    for (const action of ["sleep", "wake"]) {
      expect((await api.ask("POST", `/v1/machines/dm-none/${action}`)).status).toBe(404);
    }
  });

  it("previews, SSH and terminals say that they are not here", async () => {
    const paths = operations.filter(({ template }) => /previews|ssh|terminals/.test(template));
    expect(paths).toHaveLength(13);
    for (const { method, path, template } of paths) {
      const undocumented = template.endsWith("/stream");
      const answer = await api.ask(method, path, { undocumented });
      expect([answer.status, answer.headers.get("x-should-retry")]).toEqual([501, "false"]);
    }
  });

  it("a machine has no artifacts", async () => {
    const id = await api.machine();
    expect((await api.ask("GET", `/v1/machines/${id}/artifacts`)).json).toEqual({ items: [] });
    expect((await api.ask("GET", `/v1/machines/${id}/artifacts/none`)).status).toBe(404);
  });
});

it("every success that the contract documents for these routes was seen and checked", () => {
  const served = operations.filter(({ template }) => !/previews|ssh|terminals|artifact_id/.test(template));
  const expected = served.flatMap(({ method, template, operation }) =>
    Object.keys(operation.responses)
      .filter((status) => /^\d+$/.test(status) && !(status === "429" && method === "GET"))
      .map((status) => `${method} ${template} ${status}`),
  );
  // A machine is never there at once.
  const never = ["POST /v1/machines 200"];
  const missing = expected.filter((name) => !api.check.seen.has(name) && !never.includes(name));
  expect(missing).toEqual([]);
});
