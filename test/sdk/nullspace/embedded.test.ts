/** The client against the embedded control plane, with real machines. */
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import type { Local } from "../../../local/src/start-local";
import { NullspaceClient } from "../../../sdk/src/nullspace/client";
import type { ListMachinesParams } from "../../../sdk/src/nullspace/machine-list";
import { verifyWebhook } from "../../../sdk/src/nullspace/webhook-signature";
import type { LifecycleEvent } from "../../../sdk/src/nullspace/wire";
import { startTestLocal } from "../../local/dedalus/control-plane";
import { all, failureOf } from "./client-to";

let local: Local;
let client: NullspaceClient;
beforeAll(async () => {
  local = await startTestLocal({ driver: "auto", allowHttpWebhooks: true });
  client = new NullspaceClient({ apiKey: local.apiKey, baseUrl: local.nullspace });
});
afterAll(async () => {
  await client.close();
  await local.close();
});
afterEach(() => {
  local.faults.replace({ rules: [] });
});

const small = { vcpus: 1, memoryMb: 256, timeoutMs: 3_600_000 };

test("lives", async () => {
  expect(await client.health()).toMatchObject({ status: expect.any(String) as string });
});

test("a machine from its create to its end", async () => {
  const { machines } = client;
  const created = await machines.create({
    ...small,
    metadata: { run: "life", n: 1 },
    envs: { A: "b" },
    timeoutAction: "hibernate",
    autoDeleteAfterMs: 7_200_000,
    cwd: "/tmp",
  });
  expect(created).toMatchObject({
    status: "running",
    config: { vcpus: 1, memoryMb: 256 },
    metadata: { run: "life", n: 1 },
    timeoutMs: 3_600_000,
    timeoutAction: "hibernate",
    cwd: "/tmp",
  });
  const { id } = created;
  const read = await machines.get(id);
  expect(read).toMatchObject({ id, autoDeleteAfterMs: 7_200_000, ephemeral: false });
  expect(read.remainingMs).toBeGreaterThan(3_500_000);
  const part = await machines.get(id, { fields: ["id", "timeoutMs"] });
  expect(part).toMatchObject({ id, timeoutMs: 3_600_000, raw: { id, timeout_ms: 3_600_000 } });
  expect(part).not.toHaveProperty("status");

  expect(await machines.setTimeout(id, { timeoutMs: 60_000, timeoutAction: "destroy" })).toMatchObject({
    timeoutMs: 60_000,
    timeoutAction: "destroy",
  });
  const alive = await machines.keepAlive(id, { timeoutMs: 120_000 });
  expect(alive.lease.timeoutMs).toBe(120_000);
  await alive.stop();
  expect(await machines.metrics(id)).toMatchObject([{ cpuCount: 1, memTotalBytes: 256 * 1024 * 1024 }]);

  const hibernation = await machines.hibernate(id);
  expect(hibernation.machineId).toBe(id);
  expect(await machines.get(id)).toMatchObject({ status: "paused", snapshotId: hibernation.id });
  expect(await failureOf(machines.pause(id))).toMatchObject({
    name: "ConflictError",
    code: "machine_not_ready",
  });
  expect(await machines.connect(id, { timeoutMs: 90_000 })).toMatchObject({
    status: "running",
    timeoutMs: 90_000,
  });
  expect((await machines.resume(id)).status).toBe("running");
  expect(await machines.delete(id)).toEqual({ id, status: "destroyed" });
  expect(await failureOf(machines.get(id))).toMatchObject({
    name: "NotFoundError",
    code: "machine_not_found",
    status: 404,
    machineId: id,
  });
});

test("forks and snapshots are machines of their own with the files of the first", async () => {
  const { machines, snapshots } = client;
  const { id } = await machines.create(small);
  await sh(id, "echo before > /root/file");
  const child = await machines.fork(id);
  const snapshot = await snapshots.create(id);
  await sh(id, "echo after > /root/file");
  const restored = await machines.create({ snapshotId: snapshot.id, timeoutMs: 3_600_000 });
  for (const each of [child, restored]) expect(await sh(each.id, "cat /root/file")).toBe("before\n");
  expect(await sh(id, "cat /root/file")).toBe("after\n");
  expect((await all(snapshots.list({ machineId: id }))).map((each) => each.id)).toEqual([snapshot.id]);
  expect(await snapshots.get(snapshot.id)).toMatchObject({ id: snapshot.id, machineId: id });
  await snapshots.delete(snapshot.id);
  expect(await failureOf(snapshots.get(snapshot.id))).toMatchObject({ code: "snapshot_not_found" });
  for (const each of [id, child.id, restored.id]) await machines.delete(each);
});

test("a create whose answer is lost finds its machine; one that fails names it", async () => {
  local.faults.replace({
    rules: [{ on: "request", method: "POST", path: "/v1/machines", times: 2, after: 0, loseAnswer: true }],
  });
  const lines: string[] = [];
  await using patient = new NullspaceClient({
    apiKey: local.apiKey,
    baseUrl: local.nullspace,
    log: (line) => lines.push(line),
    deps: { sleep: () => Promise.resolve() },
  });
  const { id } = await patient.machines.create({ ...small, metadata: { run: "lost" } });
  expect((await all(client.machines.list({ metadata: { run: "lost" } }))).map((each) => each.id)).toEqual([
    id,
  ]);
  expect(lines).toHaveLength(2);
  expect(lines.join()).not.toContain(local.apiKey);
  await client.machines.delete(id);

  const fail = { reason: "image_missing", lastError: "no such image", retryable: false };
  local.faults.replace({ rules: [{ on: "start", after: 0, times: 1, fail }] });
  const error = await failureOf(client.machines.create(small));
  expect(error).toMatchObject({
    details: { reason: "image_missing" },
    machineId: expect.any(String) as string,
  });
  const failed = (error as { machineId?: string }).machineId ?? "";
  expect(await client.machines.get(failed)).toMatchObject({ status: "error" });
  await client.machines.delete(failed);
});

test("lists by state, template, metadata and page", async () => {
  const run = { run: "lists" };
  const ids: string[] = [];
  for (let n = 0; n < 5; n++)
    ids.push((await client.machines.create({ ...small, metadata: { ...run, n } })).id);
  const paused = ids.slice(0, 2);
  for (const id of paused) await client.machines.hibernate(id);
  const idsOf = async (params: ListMachinesParams) =>
    (await all(client.machines.list({ metadata: run, ...params }))).map(({ id }) => id).sort();
  expect(await idsOf({ limit: 2 })).toEqual([...ids].sort());
  expect(await idsOf({ state: "paused", limit: 1 })).toEqual([...paused].sort());
  expect(await idsOf({ state: ["running", "paused"] })).toEqual([...ids].sort());
  expect(await idsOf({ metadata: { ...run, n: 3 } })).toEqual([ids[3]]);
  expect(await idsOf({ template: "no-such" })).toEqual([]);
  const parts = await all(client.machines.list({ metadata: run, limit: 3, fields: ["id"] }));
  expect(parts.map(({ id }) => id).sort()).toEqual([...ids].sort());
  expect(parts.every((part) => part.status === undefined)).toBe(true);
  const bare = (await all(client.machines.list())).map(({ id }) => id);
  expect(bare).toEqual(expect.arrayContaining(ids));
  const wrong = client.machines.list({ limit: 5, fields: ["id", "shoeSize"] });
  expect(await failureOf(wrong.page())).toMatchObject({ code: "invalid_fields", status: 400 });
  for (const id of ids) await client.machines.delete(id);
  expect(await idsOf({ state: "destroyed", limit: 100 })).toEqual([...ids].sort());
});

describe("commands over REST", () => {
  let id: string;
  beforeAll(async () => {
    ({ id } = await client.machines.create({ ...small, envs: { GREETING: "hello" } }));
  });
  afterAll(() => client.machines.delete(id));
  const rest = () => client.commands;

  test("run to their end, start in the background, are fed, listed, read and ended", async () => {
    expect(await rest().run(id, "echo out; echo err >&2; exit 3", { shell: true })).toMatchObject({
      exitCode: 3,
      stdout: "out\n",
      stderr: "err\n",
    });
    expect(await rest().run(id, "printf", { args: ["%s|", "a b", "$X"] })).toMatchObject({
      stdout: "a b|$X|",
    });
    const { pid } = await rest().background(id, 'read line; echo "$GREETING $line"; sleep 600', {
      shell: true,
    });
    expect(await rest().list(id)).toContainEqual(expect.objectContaining({ pid, running: true }) as object);
    await rest().sendStdin(id, pid, "you\n");
    await eventually(async () => (await rest().logs(id, pid)).stdout === "hello you\n");
    await rest().kill(id, pid);
    await eventually(async () => (await rest().logs(id, pid)).exitCode === 137);
    expect(await failureOf(rest().kill(id, 99_999_999))).toMatchObject({ name: "NotFoundError" });
  });

  test("that take too long are told as such", async () => {
    const error = await failureOf(rest().run(id, "sleep", { args: ["30"], timeoutMs: 1_000 }));
    expect(error).toMatchObject({ code: "exec_timeout", status: 504, retryable: false });
  });
});

test("history of the account, of a machine and of a snapshot, and what came after an event", async () => {
  const { lifecycle, machines } = client;
  const { id } = await machines.create(small);
  const snapshot = await client.snapshots.create(id);
  await machines.hibernate(id);
  await machines.delete(id);
  const words = (events: LifecycleEvent[]) => events.map(({ operation, status }) => `${operation} ${status}`);
  const whole = await all(lifecycle.listForMachine(id, { order: "asc", limit: 2 }));
  expect(words(whole).filter((word) => word.endsWith("succeeded"))).toEqual([
    "create succeeded",
    "snapshot_created succeeded",
    "hibernate succeeded",
    "destroy succeeded",
  ]);
  expect(await all(lifecycle.list({ machineId: id, order: "asc" }))).toEqual(whole);
  expect(words(await all(lifecycle.listForSnapshot(snapshot.id, { status: "succeeded" })))).toEqual([
    "snapshot_created succeeded",
  ]);
  const [first] = whole as [LifecycleEvent];
  for (const cursor of [first, first.id]) {
    expect(await all(lifecycle.listAfter(cursor, { machineId: id, limit: 3 }))).toEqual(whole.slice(1));
  }
  expect(await failureOf(lifecycle.listForMachine("mch_none").page())).toMatchObject({
    name: "NotFoundError",
  });
});

test("a webhook is delivered with a signature that verifies, and its deliveries can be read", async () => {
  const secret = "shh-secret";
  const requests: { request: IncomingMessage; body: Buffer }[] = [];
  const receiver = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      requests.push({ request, body: Buffer.concat(chunks) });
      response.writeHead(204).end();
    });
  });
  await new Promise<void>((resolve) => receiver.listen(0, "127.0.0.1", resolve));
  try {
    const { webhooks } = client;
    const url = `http://127.0.0.1:${String((receiver.address() as AddressInfo).port)}/hook`;
    const made = await webhooks.create({
      url,
      operations: ["create"],
      signingSecret: secret,
      enabled: false,
    });
    expect(made).toMatchObject({ url, operations: ["create"], enabled: false, hasSigningSecret: true });
    expect(await webhooks.update(made.id, { enabled: true })).toMatchObject({ enabled: true });
    expect((await all(webhooks.list())).map(({ id }) => id)).toContain(made.id);
    expect((await webhooks.get(made.id)).id).toBe(made.id);

    const { id } = await client.machines.create(small);
    const succeeded = async () =>
      (await all(webhooks.deliveries(made.id, { limit: 1 }))).filter(
        ({ deliveryStatus }) => deliveryStatus === "succeeded",
      );
    await eventually(async () => (await succeeded()).length === 2);
    const events = requests.map(
      ({ request, body }) =>
        verifyWebhook({ body, headers: request.headers, secrets: ["new", secret] }).event,
    );
    const history = await all(client.lifecycle.listForMachine(id, { order: "asc" }));
    expect(events).toEqual(history);
    const [{ request, body }] = requests as [(typeof requests)[number]];
    expect(webhooks.verify({ body, headers: request.headers, secret, maxAgeMs: 60_000 }).event).toEqual(
      history[0],
    );
    expect(() => webhooks.verify({ body, headers: request.headers, secret: "other" })).toThrow(/secrets/);

    const [delivery] = await succeeded();
    const detail = await webhooks.delivery(made.id, delivery?.id ?? "");
    expect(detail.attempts).toMatchObject([{ attemptNumber: 1, responseStatus: 204 }]);
    expect(history).toContainEqual(detail.event);
    await webhooks.delete(made.id);
    expect(await failureOf(webhooks.get(made.id))).toMatchObject({ name: "NotFoundError" });
    await client.machines.delete(id);
  } finally {
    receiver.closeAllConnections();
    await new Promise((resolve) => receiver.close(resolve));
  }
});

test("a wrong key is refused without showing it", async () => {
  await using wrong = new NullspaceClient({ apiKey: "ns_live_wrong", baseUrl: local.nullspace });
  const error = await failureOf(wrong.machines.list().page());
  expect(error).toMatchObject({ name: "AuthError", code: "unauthorized", status: 401 });
  expect(String(error)).not.toContain("ns_live_wrong");
});

test("what this service does not have says so", async () => {
  const { id } = await client.machines.create(small);
  const error = await failureOf(
    client.machines.updateEgress(id, { mode: "custom", allowCidrs: ["10.0.0.0/8"] }),
  );
  expect(error).toMatchObject({ name: "NotImplementedError", code: "not_implemented" });
  await client.machines.delete(id);
});

const sh = async (id: string, command: string): Promise<string> =>
  (await client.commands.run(id, command, { shell: true })).stdout;

/** Waits for what nothing announces. */
async function eventually(holds: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error("did not happen within 10 s");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
