/** The client of the embedded control plane's own routes, against a real one. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { LocalClient, NullspaceClient } from "../../../sdk/src";
import type { Local } from "../../../local/src/start-local";
import { startTestLocal } from "../../local/dedalus/control-plane";

let local: Local;
let client: LocalClient;
let nullspace: NullspaceClient;
beforeAll(async () => {
  local = await startTestLocal();
  client = new LocalClient({ baseUrl: `${local.url}/`, apiKey: local.apiKey });
  nullspace = new NullspaceClient({ baseUrl: local.nullspace, apiKey: local.apiKey });
});
afterAll(async () => {
  await client.close();
  await nullspace.close();
  await local.close();
});

const sizes = { vcpu: 0.25, memoryMiB: 256, storageGiB: 1 };
const wireId = (id: string): string => id.replace("dm-", "mch_");

it("makes a machine with the traits of both APIs, once for a key", async () => {
  const params = {
    dedalus: { ...sizes, autosleep: "never" },
    nullspace: { metadata: { a: 1 }, envs: { NAME: "x" }, inactivityTimeoutMs: 60_000 },
  };
  const machine = await client.machines.create(params, { idempotencyKey: "k-1" });
  expect(machine).toMatchObject({ ...sizes, autosleepSeconds: 0, status: { phase: "accepted" } });
  expect(machine.requestId).toBeDefined();
  const again = await client.machines.create(params, { idempotencyKey: "k-1" });
  expect(again.machineId).toBe(machine.machineId);
  await expect(client.machines.create({ dedalus: sizes }, { idempotencyKey: "k-1" })).rejects.toMatchObject({
    code: "IDEMPOTENCY_KEY_REUSED",
    retryable: false,
  });
  const info = await nullspace.machines.get(wireId(machine.machineId));
  expect(info).toMatchObject({ metadata: { a: 1 }, inactivityTimeoutMs: 60_000 });
});

it("sets and takes away a timeout", async () => {
  const { machineId } = await client.machines.create({ dedalus: sizes });
  await client.machines.setTimeout(machineId, { timeoutMs: 60_000, timeoutAction: "hibernate" });
  expect(await nullspace.machines.get(wireId(machineId))).toMatchObject({ timeoutMs: 60_000 });
  await client.machines.setTimeout(machineId, { timeoutMs: null });
  expect(await nullspace.machines.get(wireId(machineId))).not.toHaveProperty("timeoutMs");
});

it("copies a machine and takes a snapshot with metadata", async () => {
  const { machineId } = await client.machines.create({ dedalus: sizes });
  await nullspace.machines.resume(wireId(machineId));
  const snapshot = await client.snapshots.create(machineId, { metadata: { golden: true } });
  expect(snapshot).toMatchObject({ machineId: wireId(machineId), metadata: { golden: true } });
  const ofSnapshot = await client.machines.create({
    dedalus: { vcpu: 1 },
    nullspace: { snapshotId: snapshot.id, metadata: { n: 1 }, network: { egress: { mode: "deny_all" } } },
  });
  expect(ofSnapshot).toMatchObject({ ...sizes, vcpu: 1 });
  const fork = await client.machines.create({ forkOf: machineId, nullspace: { metadata: { n: 2 } } });
  expect(fork).toMatchObject(sizes);
});

it.each([
  ["machine_not_found", { forkOf: "dm-none" }, "NotFoundError"],
  ["snapshot_not_found", { nullspace: { snapshotId: "snap_none" } }, "NotFoundError"],
  ["template_not_found", { dedalus: sizes, nullspace: { template: "other" } }, "NotFoundError"],
])("%s has its code", async (code, params, name) => {
  await expect(client.machines.create(params)).rejects.toMatchObject({ code, name, status: 404 });
});

it("what cannot work is refused before anything is sent", async () => {
  const create = client.machines.create({ dedalus: { ...sizes, vcpu: "much" as never } });
  await expect(create).rejects.toMatchObject({ name: "UsageError", code: "invalid_argument" });
  expect(() => new LocalClient({ baseUrl: local.url, apiKey: "" })).toThrow(/no API key for http/);
  expect(() => new LocalClient({ baseUrl: "nowhere", apiKey: "k" })).toThrow(/the base URL is not usable/);
});

it("a wrong key is said without the key", async () => {
  await using stranger = new LocalClient({ baseUrl: local.url, apiKey: "another-key-1234" });
  const refusal: unknown = await stranger.machines
    .create({ dedalus: sizes })
    .catch((error: unknown) => error);
  expect(refusal).toMatchObject({ status: 401, code: "AUTH_INVALID" });
  expect(String(refusal)).not.toContain("another-key-1234");
});

it("a control plane that is older than the client is no machine that is missing", async () => {
  const older = createServer((_, response) => {
    response.writeHead(404, { "content-type": "application/problem+json" });
    response.end(JSON.stringify({ title: "Not Found", status: 404, detail: "there is no such path" }));
  });
  await new Promise<void>((resolve) => older.listen(0, "127.0.0.1", resolve));
  const { port } = older.address() as AddressInfo;
  try {
    await using there = new LocalClient({ baseUrl: `http://127.0.0.1:${String(port)}`, apiKey: "any-key" });
    await expect(there.machines.create({ forkOf: "dm-1" })).rejects.toMatchObject({
      name: "AnswerError",
      code: "path_not_found",
      message: expect.stringMatching(/older than this client/) as unknown,
    });
  } finally {
    older.close();
  }
});
