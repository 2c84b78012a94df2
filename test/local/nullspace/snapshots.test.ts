/** Hibernate, resume, snapshots and forks over HTTP, with real disks. */
import type { Local } from "../../../local/src/start-local";
import { Api, newKey, startTestLocal, told } from "./control-plane";

let local: Local;
let api: Api;
beforeAll(async () => {
  local = await startTestLocal({ driver: "auto" });
  api = new Api(local);
});
afterAll(() => local.close());

const run = async (id: string, command: string): Promise<unknown> => {
  const answer = await api.ask("POST", `/v1/machines/${id}/exec`, { body: { command, shell: true } });
  if (answer.status !== 200) throw new Error(answer.body);
  return answer.json["stdout"];
};
const list = async (query = "") =>
  (await api.ask("GET", `/v1/snapshots${query}`)).json as unknown as Record<string, unknown>[];

it("a machine hibernates under its own id, and resumes with its disk", async () => {
  const id = await api.machine({ metadata: { a: 1 }, timeout_ms: 60_000 });
  await run(id, "echo kept > /root/note");
  const asleep = await api.ask("POST", `/v1/machines/${id}/hibernate`);
  expect(asleep.status).toBe(200);
  expect(asleep.json).toMatchObject({
    id: expect.stringMatching(/^snap_[a-z0-9]+$/) as unknown,
    machine_id: id,
  });
  const paused = await api.ask("GET", `/v1/machines/${id}`);
  expect(paused.json).toMatchObject({ status: "paused", snapshot_id: asleep.json["id"] });
  expect(paused.json).not.toHaveProperty("timeout_at");
  expect(paused.json).not.toHaveProperty("remaining_ms");

  const again = await api.ask("POST", `/v1/machines/${id}/hibernate`);
  expect(told(again)).toEqual([409, "machine_not_ready"]);
  expect(again.json["details"]).toMatchObject({ snapshot_id: asleep.json["id"] });
  for (const [method, path, body] of [
    ["POST", "/exec", { command: "true" }],
    ["POST", "/host", { port: 80 }],
    ["GET", "/metrics", undefined],
  ] as const) {
    expect(told(await api.ask(method, `/v1/machines/${id}${path}`, { body }))).toEqual([
      409,
      "machine_not_ready",
    ]);
  }
  const snapshot = `/v1/snapshots/${String(asleep.json["id"])}`;
  expect((await api.ask("GET", snapshot)).json).toEqual(asleep.json);
  expect(told(await api.ask("DELETE", snapshot))).toEqual([409, "snapshot_in_use"]);
  const body = { snapshot_id: asleep.json["id"] };
  expect(told(await api.ask("POST", "/v1/machines", { body }))).toEqual([409, "incompatible_snapshot"]);

  const resumed = await api.ask("POST", `/v1/machines/${id}/resume`);
  expect(resumed.json).toMatchObject({ id, status: "running", config: { vcpus: 1, memory_mb: 256 } });
  expect(await run(id, "cat /root/note")).toBe("kept\n");
  const running = await api.ask("GET", `/v1/machines/${id}`);
  expect(running.json).not.toHaveProperty("snapshot_id");
  expect(running.json).toHaveProperty("timeout_at");
});

it("hibernates at once are one, and all are answered alike", async () => {
  const id = await api.machine();
  const answers = await Promise.all(
    Array.from({ length: 4 }, () => api.ask("POST", `/v1/machines/${id}/hibernate`)),
  );
  const done = answers.filter(({ status }) => status === 200);
  expect(done.length).toBeGreaterThan(0);
  expect(new Set(done.map(({ body }) => body)).size).toBe(1);
  for (const answer of answers) expect([200, 409]).toContain(answer.status);
  const resumed = await Promise.all(
    Array.from({ length: 4 }, () => api.ask("POST", `/v1/machines/${id}/resume`)),
  );
  expect(resumed.map(({ status, json }) => [status, json["status"]])).toEqual(
    Array(4).fill([200, "running"]),
  );
});

it("a snapshot is taken of a machine that runs on, once for a key, and makes any number of machines", async () => {
  const id = await api.machine({
    vcpus: 1,
    memory_mb: 300,
    cwd: "/srv",
    envs: { A: "b" },
    metadata: { a: 1 },
  });
  await run(id, "echo first > /root/note");
  const key = newKey();
  const take = () => api.ask("POST", `/v1/machines/${id}/snapshots`, { key });
  const answers = await Promise.all([take(), take(), take()]);
  expect(answers.map(({ status }) => status)).toEqual([201, 201, 201]);
  expect(new Set(answers.map(({ body }) => body)).size).toBe(1);
  const taken = (await take()).json;
  expect(taken).toMatchObject({ machine_id: id, size_bytes: expect.any(Number) as unknown });
  expect(await api.statusOf(id)).toBe("running");
  await run(id, "echo second > /root/note");

  const made = await api.ask("POST", "/v1/machines", {
    body: {
      ...{ snapshot_id: taken["id"], timeout_ms: 60_000, metadata: { b: 2 } },
      ...{ network: null, volumes: null, auto_resume: false },
    },
  });
  expect(made.status).toBe(201);
  expect(made.json).toMatchObject({
    ...{ status: "running", config: { vcpus: 1, memory_mb: 300 }, cwd: "/srv" },
    ...{ metadata: { b: 2 }, timeout_ms: 60_000 },
  });
  const copy = String(made.json["id"]);
  expect(await run(copy, "cat /root/note; echo $A; pwd")).toBe("first\nb\n/srv\n");
  expect(await run(id, "cat /root/note")).toBe("second\n");

  expect(await list(`?machine_id=${id}`)).toEqual([taken]);
  expect(await list(`?machine_id=${copy}`)).toEqual([]);
  expect(await list("?machine_id=other")).toEqual([]);
  expect(await list("?metadata=%7B%22nothing%22%3A+1%7D")).toEqual([]);
  expect(await list()).toContainEqual(taken);
  for (const query of ["?metadata=x", "?page=1"]) {
    expect(told(await api.ask("GET", `/v1/snapshots${query}`))).toEqual([400, "invalid_request"]);
  }

  const path = `/v1/snapshots/${String(taken["id"])}`;
  const removed = await api.ask("DELETE", path);
  expect([removed.status, removed.body]).toEqual([204, ""]);
  for (const method of ["GET", "DELETE"]) {
    expect(told(await api.ask(method, path))).toEqual([404, "snapshot_not_found"]);
  }
  expect(await run(copy, "cat /root/note")).toBe("first\n");
});

it("a fork has the disk of its parent at that moment, and each goes its own way", async () => {
  const parent = await api.machine({ metadata: { a: 1 }, cwd: "/srv" });
  await run(parent, "echo shared > /root/note");
  const key = newKey();
  const fork = () => api.ask("POST", `/v1/machines/${parent}/fork`, { key });
  const [first, second] = await Promise.all([fork(), fork()]);
  expect([first.status, first.json["status"]]).toEqual([201, "running"]);
  expect(second.json).toEqual(first.json);
  const child = String(first.json["id"]);
  expect(child).not.toBe(parent);
  expect(first.json).toMatchObject({ config: { vcpus: 1, memory_mb: 256 }, cwd: "/srv" });
  await run(parent, "echo parent > /root/note");
  expect(await run(child, "cat /root/note")).toBe("shared\n");
  await api.ask("DELETE", `/v1/machines/${parent}`);
  expect(await run(child, "cat /root/note")).toBe("shared\n");
  // What is no snapshot of the user's is not shown as one.
  expect(await list(`?machine_id=${parent}`)).toEqual([]);
});

it("keys are asked for, and bodies are not", async () => {
  const id = await api.machine();
  for (const path of ["fork", "snapshots"]) {
    expect(told(await api.ask("POST", `/v1/machines/${id}/${path}`, { key: null }))).toEqual([
      400,
      "invalid_request",
    ]);
  }
  for (const path of ["fork", "snapshots", "hibernate", "resume"]) {
    const refused = await api.ask("POST", `/v1/machines/${id}/${path}`, { body: { metadata: {} } });
    expect(told(refused)).toEqual([400, "invalid_request"]);
  }
});

it("every success that the contract documents for snapshots was seen and checked", () => {
  for (const name of [
    "POST /v1/machines/{id}/hibernate 200",
    "POST /v1/machines/{id}/resume 200",
    "POST /v1/machines/{id}/snapshots 201",
    "POST /v1/machines/{id}/fork 201",
    "GET /v1/snapshots 200",
    "GET /v1/snapshots/{id} 200",
    "DELETE /v1/snapshots/{id} 204",
  ]) {
    expect(api.check.seen).toContain(name);
  }
});

it("the log names the commands that a snapshot, a fork and a hibernate have not kept", async () => {
  const id = await api.machine();
  const background = { command: "sleep", args: ["1000"], background: true };
  const { json } = await api.ask("POST", `/v1/machines/${id}/exec`, { body: background });
  const notKept = [{ pid: json["pid"], command: "sleep 1000" }];
  const lost = async (of: string, operation: string, status: string): Promise<unknown> => {
    const query = `?operation=${operation}&status=${status}`;
    const page = (await api.ask("GET", `/v1/machines/${of}/lifecycle${query}`)).json as {
      events: { metadata: Record<string, unknown> }[];
    };
    return page.events[0]?.metadata["processes_not_kept"];
  };
  await api.ask("POST", `/v1/machines/${id}/snapshots`, { body: {} });
  const fork = await api.ask("POST", `/v1/machines/${id}/fork`);
  const child = String(fork.json["id"]);
  await api.ask("POST", `/v1/machines/${id}/hibernate`);
  expect(await lost(id, "snapshot_created", "succeeded")).toEqual(notKept);
  expect(await lost(child, "fork", "requested")).toEqual(notKept);
  expect(await lost(id, "hibernate", "succeeded")).toEqual(notKept);
  expect(await lost(child, "fork", "succeeded")).toBeUndefined();
});
