/** The adapter of the embedded control plane over a real one: both dialects and the routes of its own, as one. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { LocalControlPlane } from "../../../provider/src/controlplane/local";
import type { MachineSpec } from "../../../provider/src/controlplane/port";
import { all, keyed, never, running, settled, size, startEmbedded } from "./embedded";

let local: Awaited<ReturnType<typeof startEmbedded>>;
let plane: LocalControlPlane;
beforeAll(async () => {
  local = await startEmbedded();
  plane = new LocalControlPlane({ url: local.url, apiKey: local.apiKey, unreachableHint: "Start it." });
}, 60_000);
afterAll(async () => {
  await plane.close();
  await local.close();
});

const options = { signal: never };
const tags = { "pulumi:stack": "dev", "pulumi:key": "k-of-blue" };
const sh = async (id: string, script: string): Promise<string> => {
  const { stdout, stderr } = await plane.commands.run(
    id,
    { argv: ["sh", "-c", script], timeoutMs: 20_000 },
    keyed(),
  );
  return stdout + stderr;
};
const idsOf = async (filter: Parameters<LocalControlPlane["listMachines"]>[0]): Promise<string[]> =>
  (await all(plane.listMachines(filter, options))).map((machine) => machine.id);

test("a machine has everything that a resource can ask for", async () => {
  const id = await running(plane, {
    ...size,
    vcpu: 0.25,
    autosleep: "1h",
    template: "base",
    env: { NAME: "of the program" },
    cwd: "/srv",
    metadata: { team: "blue", nested: { a: [1, null] } },
    tags,
    lifetime: { timeout: "8h", deleteAfterSleeping: "7d" },
    autoResume: true,
    network: { egress: { mode: "deny_all" } },
  });
  expect(id).toMatch(/^dm-[a-z0-9]+$/);
  expect(await plane.describeMachine(id, options)).toMatchObject({
    ...{ id, vcpu: 0.25, memoryMiB: 256, storageGiB: 1, autosleepSeconds: 3600 },
    ...{ phase: "running", desiredState: "running", template: "base", cwd: "/srv", ephemeral: false },
    metadata: { team: "blue", nested: { a: [1, null] } },
    tags,
    lifetime: { timeout: "8h", deleteAfterSleeping: "1w", then: "sleep" },
    expiresAt: expect.stringMatching(/^\d{4}-/) as unknown,
  });
  expect(await sh(id, 'echo "$NAME"; pwd')).toBe("of the program\n/srv\n");
  const byOtherName = await plane.describeMachine(id.replace("dm-", "mch_"), options);
  expect(byOtherName.id).toBe(id);
});

test("without a lifetime there is none, and an ephemeral machine is destroyed by its limits", async () => {
  const plain = await plane.createMachine(size, keyed());
  const details = await plane.describeMachine(plain.id, options);
  expect(details).not.toHaveProperty("lifetime");
  expect(details).not.toHaveProperty("expiresAt");
  expect(details.autosleepSeconds).toBe(300);
  const spec: MachineSpec = { ...size, ephemeral: true, lifetime: { timeout: "1h" } };
  const { id } = await plane.createMachine(spec, keyed());
  expect(await plane.describeMachine(id, options)).toMatchObject({
    ephemeral: true,
    autosleepSeconds: 0,
    lifetime: { timeout: "1h", then: "destroy" },
  });
  expect((await plane.updateMachine(id, { lifetime: { timeout: "2h" } }, keyed())).id).toBe(id);
  const idle: MachineSpec = { ...size, lifetime: { timeout: "never", inactivity: "30m", then: "destroy" } };
  const { id: other } = await plane.createMachine(idle, keyed());
  const { lifetime } = await plane.describeMachine(other, options);
  expect(lifetime).toEqual({ inactivity: "30m", then: "destroy" });
});

test("a key makes one machine; with another request it is refused by name", async () => {
  const first = await plane.createMachine({ ...size, tags }, keyed("once"));
  expect((await plane.createMachine({ ...size, tags }, keyed("once"))).id).toBe(first.id);
  const other = plane.createMachine({ ...size, memoryMiB: 512, tags }, keyed("once"));
  await expect(other).rejects.toMatchObject({ name: "KeyReusedError" });
});

test("lists select by tags, by metadata, by phase, and give the ids of the state", async () => {
  const mine = { ...tags, "pulumi:key": "k-of-lists" };
  const id = await running(plane, { ...size, tags: mine, metadata: { n: 7 } });
  expect(await idsOf({ tags: { "pulumi:key": "k-of-lists" } })).toEqual([id]);
  expect(await idsOf({ tags: mine, metadata: { n: 7 }, template: "base" })).toEqual([id]);
  expect(await idsOf({ tags: mine, metadata: { n: "7" } })).toEqual([]);
  expect(await idsOf({ tags: mine, phases: ["sleeping"] })).toEqual([]);
  await plane.deleteMachine(id, keyed());
  await settled(plane, id, "destroyed").catch(() => undefined);
  expect(await idsOf({ tags: mine })).toEqual([]);
  expect(await idsOf({ tags: mine, phases: ["destroyed", "destroying"] })).toEqual([id]);
});

test("a snapshot has metadata of its own, and machines come from it, and from machines", async () => {
  const id = await running(plane, { ...size, tags, metadata: { of: "the machine" } });
  await sh(id, "echo kept > /root/note");
  const made = await plane.snapshots.create(id, { metadata: { golden: true } }, keyed("snap-1"));
  expect(made).toMatchObject({ machineId: id, metadata: { golden: true } });
  expect(await plane.snapshots.create(id, { metadata: { golden: true } }, keyed("snap-1"))).toEqual(made);
  expect(await plane.snapshots.get(made.id, options)).toEqual(made);
  expect(await all(plane.snapshots.list({ machineId: id }, options))).toEqual([made]);
  const sources: MachineSpec["from"][] = [{ snapshot: made.id }, { machine: id }];
  for (const [at, from] of sources.entries()) {
    const key = { "pulumi:key": `copy-${String(at)}` };
    const copy = await running(plane, { from: from as never, memoryMiB: 512, storageGiB: 2, tags: key });
    expect(await sh(copy, "cat /root/note")).toBe("kept\n");
    const details = await plane.describeMachine(copy, options);
    expect(details).toMatchObject({ vcpu: 0.5, memoryMiB: 512, storageGiB: 2, tags: key, metadata: {} });
  }
  const small = plane.createMachine({ from: { snapshot: made.id }, storageGiB: 0 }, keyed());
  await expect(small).rejects.toMatchObject({ name: "RefusedError", retryable: false });
  await plane.snapshots.delete(made.id, options);
  await plane.snapshots.delete(made.id, options);
  await expect(plane.snapshots.get(made.id, options)).rejects.toMatchObject({ name: "SnapshotGoneError" });
});

test("what a machine is to be made from, and is not there, is named", async () => {
  const ofSnapshot = plane.createMachine({ from: { snapshot: "snap_none" } }, keyed());
  await expect(ofSnapshot).rejects.toMatchObject({ name: "SnapshotGoneError", snapshotId: "snap_none" });
  const ofMachine = plane.createMachine({ from: { machine: "dm-none" } }, keyed());
  await expect(ofMachine).rejects.toMatchObject({ name: "MachineGoneError", machineId: "dm-none" });
  const taken = plane.snapshots.create("dm-none", {}, keyed());
  await expect(taken).rejects.toMatchObject({ name: "MachineGoneError", machineId: "dm-none" });
  const template = plane.createMachine({ ...size, template: "other" }, keyed());
  await expect(template).rejects.toMatchObject({ name: "RefusedError", code: "template_not_found" });
});

test("sizes, autosleep and lifetime change in place", async () => {
  const id = await running(plane, { ...size, tags });
  const change = { memoryMiB: 512, autosleep: "2h", lifetime: { timeout: "3h", then: "destroy" as const } };
  expect(await plane.updateMachine(id, change, keyed())).toMatchObject({
    memoryMiB: 512,
    autosleepSeconds: 7200,
  });
  expect((await plane.describeMachine(id, options)).lifetime).toEqual({ timeout: "3h", then: "destroy" });
  await plane.updateMachine(id, { lifetime: { timeout: "never" } }, keyed());
  expect(await plane.describeMachine(id, options)).not.toHaveProperty("lifetime");
  expect((await plane.getMachine(id, options)).phase).toBe("running");
  await expect(plane.updateMachine("dm-none", { lifetime: {} }, keyed())).rejects.toMatchObject({
    name: "MachineGoneError",
  });
});

test("the network policy is changed through a sleep, with the disk kept, and only when it differs", async () => {
  const id = await running(plane);
  await sh(id, "echo kept > /root/note");
  const interfaces = () => sh(id, "tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '");
  const deny = { network: { egress: { mode: "deny_all" as const } } };
  await plane.updateMachine(id, deny, keyed());
  await settled(plane, id, "running");
  expect(await interfaces()).toBe("lo\n");
  expect(await sh(id, "cat /root/note")).toBe("kept\n");
  const { revision } = await plane.getMachine(id, options);
  expect((await plane.updateMachine(id, deny, keyed())).revision).toBe(revision);
  await plane.sleepMachine(id, keyed());
  await settled(plane, id, "sleeping");
  await plane.updateMachine(id, { network: { egress: { mode: "allow_all" } } }, keyed());
  expect((await plane.getMachine(id, options)).phase).toBe("sleeping");
});

test("use wakes a machine that sleeps, unless the program says otherwise", async () => {
  const [id, quiet] = await Promise.all([running(plane), running(plane, { ...size, autoResume: false })]);
  for (const machine of [id, quiet]) {
    await plane.sleepMachine(machine, keyed());
    await settled(plane, machine, "sleeping");
  }
  expect(await sh(id, "echo awake")).toBe("awake\n");
  await expect(sh(quiet, "echo awake")).rejects.toMatchObject({ code: "INVALID_STATE", retryable: false });
});

test("files are written, read and removed", async () => {
  const id = await running(plane);
  await plane.files.write(id, "/srv/a b/file", Buffer.from("content"), { ...options, mode: 0o640 });
  expect(Buffer.from((await plane.files.read(id, "/srv/a b/file", options)) ?? []).toString()).toBe(
    "content",
  );
  expect(await sh(id, "stat -c %a '/srv/a b/file'")).toBe("640\n");
  await plane.files.remove(id, "/srv/a b", options);
  expect(await plane.files.hash(id, "/srv/a b/file", options)).toBeUndefined();
});

test("events name machines as the state does", async () => {
  const id = await running(plane);
  const events = await all(plane.events.list({ machineId: id, order: "asc" }, options));
  expect(events.map(({ operation, status }) => `${operation} ${status}`)).toEqual([
    "create requested",
    "create succeeded",
  ]);
  expect(events.every((event) => event.machineId === id)).toBe(true);
});

describe("webhooks", () => {
  let target: Server;
  beforeAll(async () => {
    target = createServer((_, response) => void response.end());
    await new Promise<void>((resolve) => target.listen(0, "127.0.0.1", resolve));
  });
  afterAll(() => new Promise((resolve) => target.close(resolve)));

  test("a webhook is made, changed, read and removed", async () => {
    const url = `http://127.0.0.1:${String((target.address() as AddressInfo).port)}/hook`;
    const spec = { url, operations: ["create"], secret: "a-secret-of-ours", enabled: true };
    const made = await plane.webhooks.create(spec, options);
    expect(made).toMatchObject({ url, operations: ["create"], enabled: true, hasSecret: true });
    expect(JSON.stringify(made)).not.toContain("a-secret-of-ours");
    const off = await plane.webhooks.update(made.id, { enabled: false }, options);
    expect(off).toMatchObject({ id: made.id, enabled: false });
    expect((await all(plane.webhooks.list(options))).map(({ id }) => id)).toEqual([made.id]);
    await plane.webhooks.delete(made.id, options);
    await plane.webhooks.delete(made.id, options);
    await expect(plane.webhooks.get(made.id, options)).rejects.toMatchObject({ name: "WebhookGoneError" });
  });
});

test("a machine that is gone is gone for every verb, and deleting it is done", async () => {
  for (const look of [
    plane.getMachine("dm-none", options),
    plane.describeMachine("dm-none", options),
    plane.wakeMachine("dm-none", keyed()),
    plane.updateMachine("dm-none", { network: { egress: { mode: "deny_all" } } }, keyed()),
    all(plane.watchMachine("dm-none", options)),
    sh("dm-none", "true"),
  ]) {
    await expect(look).rejects.toMatchObject({ name: "MachineGoneError" });
  }
  expect(await plane.deleteMachine("dm-none", keyed())).toBeUndefined();
});

test("a wrong key is said in the terms of a project, on every way to the service, without the key", async () => {
  const stranger = new LocalControlPlane({ url: local.url, apiKey: "another-key-1234" });
  try {
    for (const call of [
      stranger.createMachine(size, keyed()),
      stranger.getMachine("dm-1", options),
      all(stranger.listMachines({}, options)),
      stranger.snapshots.create("dm-1", {}, keyed()),
      all(stranger.webhooks.list(options)),
    ]) {
      const refusal: unknown = await call.catch((error: unknown) => error);
      expect(refusal).toMatchObject({ name: "RefusedError", retryable: false });
      expect(String(refusal)).toMatch(/Check the key: pulumi config set --secret machines:apiKey/);
      expect(String(refusal)).not.toMatch(/another-key-1234|NULLSPACE_|DEDALUS_/);
    }
  } finally {
    await stranger.close();
  }
});
