/** A machine is made once, however often, however concurrently, and through whatever break it is asked for. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Local, startLocal } from "../../../local/src/start-local";
import { Api, eventually, newKey, plain, startTestLocal, told } from "./control-plane";

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

const create = (key: string, body: unknown = plain) => api.ask("POST", "/v1/machines", { body, key });
const count = async () => (await api.list()).length;

it("the same key answers the same machine, whatever became of it", async () => {
  const key = newKey();
  const first = await create(key);
  const id = String(first.json["id"]);
  expect((await create(key)).json).toEqual(first.json);
  await local.controlPlane.machines.state(id.slice(4), "sleeping");
  await local.controlPlane.machines.settled(id.slice(4), "sleeping", AbortSignal.timeout(5000));
  const asleep = await create(key);
  expect([asleep.status, asleep.json["id"], asleep.json["status"]]).toEqual([201, id, "paused"]);
  await api.ask("DELETE", `/v1/machines/${id}`);
  const gone = await create(key);
  expect([gone.status, gone.json["id"], gone.json["status"]]).toEqual([201, id, "destroyed"]);
});

it("the order of the members, and nulls, are no other request", async () => {
  const key = newKey();
  const first = await create(key, { ...plain, metadata: { a: 1, b: { c: 2, d: 3 } } });
  const { timeout_ms, memory_mb, vcpus } = plain;
  const again = await create(key, {
    ...{ cwd: null, metadata: { b: { d: 3, c: 2 }, a: 1 }, timeout_ms, memory_mb, vcpus },
  });
  expect(again.json["id"]).toBe(first.json["id"]);
});

it.each([
  ["another size", { ...plain, vcpus: 2 }],
  ["another variable", { ...plain, envs: { A: "b" } }],
  ["other metadata", { ...plain, metadata: { a: 1 } }],
  ["a member more", { ...plain, auto_resume: false }],
])("the same key with %s is a conflict", async (_name, body) => {
  const key = newKey();
  await create(key);
  const answer = await create(key, body);
  expect(told(answer)).toEqual([409, "conflict"]);
  expect(answer.json["retryable"]).toBe(false);
});

it("one key is not for two calls", async () => {
  const key = newKey();
  const id = String((await create(key)).json["id"]);
  expect(told(await api.ask("POST", `/v1/machines/${id}/fork`, { key }))).toEqual([409, "conflict"]);
});

it("twenty creates at once with one key make one machine, and all wait for it", async () => {
  const key = newKey();
  const before = await count();
  local.faults.replace({ rules: [{ on: "start", after: 0, times: 1, stallMs: 300 }] });
  const answers = await Promise.all(Array.from({ length: 20 }, () => create(key)));
  expect(new Set(answers.map(({ status, json }) => `${String(status)} ${String(json["id"])}`)).size).toBe(1);
  expect(answers[0]?.json["status"]).toBe("running");
  expect(await count()).toBe(before + 1);
});

it("creates at once with one key and other bodies: one is made, the others are refused", async () => {
  const key = newKey();
  const answers = await Promise.all([1, 2, 3, 4].map((vcpus) => create(key, { ...plain, vcpus })));
  expect(answers.map(({ status }) => status).sort()).toEqual([201, 409, 409, 409]);
});

it("a client that goes away while it waits does no harm, and finds its machine again", async () => {
  const key = newKey();
  const before = await count();
  local.faults.replace({ rules: [{ on: "start", after: 0, times: 1, stallMs: 300 }] });
  const gone = new AbortController();
  const left = api.ask("POST", "/v1/machines", { body: plain, key, signal: gone.signal });
  await eventually("it is being made", async () => (await count()) === before + 1);
  gone.abort();
  await expect(left).rejects.toThrow("abort");
  const again = await create(key);
  expect([again.status, again.json["status"]]).toEqual([201, "running"]);
  expect(await count()).toBe(before + 1);
});

it("a lost answer is found again by its key", async () => {
  const key = newKey();
  const before = await count();
  local.faults.replace({
    rules: [{ on: "request", method: "POST", path: "/v1/machines", after: 0, times: 1, loseAnswer: true }],
  });
  await expect(create(key)).rejects.toThrow("fetch failed");
  expect((await create(key)).status).toBe(201);
  expect(await count()).toBe(before + 1);
});

it("a control plane that stops in the middle of a create says so, and the next one finishes it", async () => {
  const key = newKey();
  const stateDir = mkdtempSync(join(tmpdir(), "machines-local-"));
  const options = { stateDir, port: 0, driver: "null" as const };
  try {
    const first = await startLocal(options);
    first.faults.replace({ rules: [{ on: "start", after: 0, stallMs: 600_000 }] });
    const before = new Api(first);
    const waiting = before.ask("POST", "/v1/machines", { body: plain, key });
    await eventually("it is being made", async () => (await before.list()).length === 1);
    const [stopped] = await Promise.all([waiting, first.close()]);
    expect(told(stopped)).toEqual([409, "transition_in_progress"]);
    expect(stopped.json["retryable"]).toBe(true);

    await using second = await startLocal(options);
    const after = new Api(second);
    const again = await after.ask("POST", "/v1/machines", { body: plain, key });
    expect([again.status, again.json["status"]]).toEqual([201, "running"]);
    expect(stopped.json["details"]).toEqual({ machine_id: again.json["id"] });
    expect(await after.list()).toHaveLength(1);
  } finally {
    rmSync(stateDir, { recursive: true, force: true });
  }
});
