/** A mutation is made once, however often and however concurrently it is sent. */
import type { Local } from "../../../local/src/start-local";
import { Api, newKey, smallest, startTestLocal } from "./control-plane";

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

it("the same key is answered with the same bytes, whatever became of the machine", async () => {
  const key = newKey();
  const first = await api.ask("POST", "/v1/machines", { body: smallest, key });
  const id = String(first.json["machine_id"]);
  await api.settle(id);
  const again = await api.ask("POST", "/v1/machines", { body: smallest, key });
  expect([again.status, again.body, again.headers.get("etag")]).toEqual([
    first.status,
    first.body,
    first.headers.get("etag"),
  ]);
});

it("the order of the fields is no other request", async () => {
  const key = newKey();
  const first = await api.ask("POST", "/v1/machines", { body: smallest, key });
  const text = JSON.stringify(smallest, ["storage_gib", "vcpu", "memory_mib"]);
  const again = await api.ask("POST", "/v1/machines", { text, key });
  expect(again.json["machine_id"]).toBe(first.json["machine_id"]);
});

it("twenty concurrent creates with one key make one machine", async () => {
  const key = newKey();
  const before = await count();
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => api.ask("POST", "/v1/machines", { body: smallest, key })),
  );
  const ids = new Set(answers.filter(({ status }) => status === 202).map(({ json }) => json["machine_id"]));
  expect(ids.size).toBe(1);
  expect(await count()).toBe(before + 1);
  for (const { status, json } of answers.filter((answer) => answer.status !== 202)) {
    expect([status, json["error_code"], json["retry_after_ms"]]).toEqual([429, "RATE_LIMITED", 250]);
  }
});

it("while a call is under way, its key is in flight", async () => {
  const id = await api.machine();
  local.faults.replace({ rules: [{ on: "resize", after: 0, times: 1, stallMs: 300 }] });
  const key = newKey();
  const patch = () => api.ask("PATCH", `/v1/machines/${id}`, { body: { vcpu: 1 }, key });
  const both = await Promise.all([patch(), patch()]);
  expect(both.map(({ status }) => status).sort()).toEqual([200, 429]);
  expect((await patch()).status).toBe(200);
});

it("concurrent creates with one key and other bodies: one is made, the others are refused", async () => {
  const key = newKey();
  const answers = await Promise.all(
    [0.25, 0.5, 0.75, 1].map((vcpu) => api.ask("POST", "/v1/machines", { body: { ...smallest, vcpu }, key })),
  );
  expect(answers.filter(({ status }) => status === 202)).toHaveLength(1);
  for (const { status } of answers) expect([202, 409, 429]).toContain(status);
});

it("one key is not for two calls, nor for two machines", async () => {
  const [a, b] = [await api.machine(), await api.machine()];
  const key = newKey();
  expect((await api.ask("POST", `/v1/machines/${a}/sleep`, { key })).status).toBe(202);
  const calls = [
    ["POST", `/v1/machines/${b}/sleep`],
    ["POST", `/v1/machines/${a}/wake`],
    ["DELETE", `/v1/machines/${a}`],
  ] as const;
  for (const [method, path] of calls) {
    expect((await api.ask(method, path, { key })).json["error_code"]).toBe("IDEMPOTENCY_KEY_REUSED");
  }
});

it("a refused call leaves its key free", async () => {
  const id = await api.machine();
  const key = newKey();
  const stale = { "if-match": '"0"' };
  expect((await api.ask("POST", `/v1/machines/${id}/sleep`, { key, headers: stale })).status).toBe(409);
  expect((await api.ask("POST", `/v1/machines/${id}/sleep`, { key })).status).toBe(202);
});

it("a lost answer is found again by its key", async () => {
  local.faults.replace({
    rules: [{ on: "request", method: "POST", path: "/v1/machines", after: 0, times: 1, loseAnswer: true }],
  });
  const key = newKey();
  const before = await count();
  await expect(api.ask("POST", "/v1/machines", { body: smallest, key })).rejects.toThrow("fetch failed");
  const again = await api.ask("POST", "/v1/machines", { body: smallest, key });
  expect(again.status).toBe(202);
  expect(await count()).toBe(before + 1);
});

async function count(): Promise<number> {
  const { json } = await api.ask("GET", "/v1/machines?limit=1000");
  return (json["items"] as unknown[]).length;
}
