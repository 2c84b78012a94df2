/** Commands through the engine, as real processes: the driver that works on this host. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { unlimitedCapacity } from "../../../local/src/engine/capacity";
import type { ControlPlane, NewExecution, StoredAnswer } from "../../../local/src/engine/control-plane";
import { createDriver } from "../../../local/src/engine/drivers/select";
import { openControlPlane } from "../../../local/src/engine/engine";
import { keepOutputBytes } from "../../../local/src/engine/executions";
import type { ExecutionEventRecord, ExecutionRecord, MachineRecord } from "../../../local/src/engine/record";

const render = (record: { id: string }): StoredAnswer => ({
  status: 200,
  headers: {},
  body: JSON.stringify(record),
});
let keys = 0;
const request = () => ({ scope: "test", key: `key-${String(++keys)}`, requestHash: "h" });

let stateDir: string;
let plane: ControlPlane;
let machineId: string;

async function open(): Promise<ControlPlane> {
  const driver = await createDriver({ name: "auto", stateDir, log: () => undefined });
  return openControlPlane({ stateDir, driver, capacity: unlimitedCapacity });
}

async function until(id: string, phase: MachineRecord["phase"]): Promise<void> {
  let end: () => void = () => undefined;
  await new Promise<void>((resolve, reject) => {
    plane.machines
      .follow(id, undefined, (record) => {
        if (record.phase === phase) resolve();
      })
      .then((stop) => (end = stop), reject);
  });
  end();
}

async function start(spec: Partial<NewExecution> & { command: string[] }): Promise<string> {
  const answer = await plane.executions.create(machineId, { env: {}, ...spec }, request(), render);
  return (JSON.parse(answer.body) as ExecutionRecord).id;
}

/** Follows an execution by its event pages, as a client does. */
async function* events(id: string): AsyncGenerator<ExecutionEventRecord> {
  let cursor: string | undefined;
  for (;;) {
    const page = await plane.executions.events(machineId, id, { limit: 50, ...(cursor ? { cursor } : {}) });
    yield* page.items;
    if (page.nextCursor === undefined && (await plane.executions.get(machineId, id)).completedAt !== null)
      return;
    cursor = page.nextCursor ?? cursor;
    if (page.items.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function finish(id: string): Promise<ExecutionRecord & { stdout: string; stderr: string }> {
  for await (const _event of events(id));
  const { record, stdout, stderr } = await plane.executions.output(machineId, id);
  return { ...record, stdout, stderr };
}

const sh = (script: string) => ["sh", "-c", script];

beforeAll(async () => {
  stateDir = mkdtempSync(join(tmpdir(), "machines-executions-"));
  plane = await open();
  const answer = await plane.machines.create(
    { size: { vcpu: 1, memoryMiB: 512, storageGiB: 1 }, autosleepSeconds: 0 },
    request(),
    render,
  );
  machineId = (JSON.parse(answer.body) as MachineRecord).id;
  await until(machineId, "running");
});

afterAll(async () => {
  await plane.machines.desire(machineId, "destroyed", request(), undefined, render);
  await until(machineId, "destroyed");
  await plane.close();
  rmSync(stateDir, { recursive: true, force: true });
});

test("runs a command with its environment, input and folder, and keeps both outputs", async () => {
  const id = await start({
    command: sh('cat; echo "$GREETING" >&2; pwd; exit 3'),
    env: { GREETING: "it's me" },
    stdin: "from stdin\n",
    cwd: "/",
  });
  expect(await finish(id)).toMatchObject({
    status: "failed",
    exitCode: 3,
    stdout: "from stdin\n/\n",
    stderr: "it's me\n",
    envKeys: ["GREETING"],
    errorCode: null,
  });
});

test("says how a command ended: success, a signal, a program that is not there", async () => {
  expect(await finish(await start({ command: ["true"] }))).toMatchObject({
    status: "succeeded",
    exitCode: 0,
  });
  expect(await finish(await start({ command: sh("kill -TERM $$") }))).toMatchObject({
    status: "failed",
    exitCode: 143,
    signal: 15,
  });
  const missing = await finish(await start({ command: ["no-such-program"] }));
  expect(missing).toMatchObject({ status: "failed", exitCode: 127, errorCode: "COMMAND_NOT_STARTED" });
  expect(missing.errorMessage).toContain("no-such-program");
});

test("events come in order, whole characters only, while the command runs", async () => {
  const id = await start({
    command: sh("for i in 1 2 3; do printf 'tick-\\342\\202\\254-%s\\n' $i; sleep 0.05; done"),
  });
  const seen: ExecutionEventRecord[] = [];
  for await (const event of events(id)) seen.push(event);
  expect(seen.map((event) => event.sequence)).toEqual(seen.map((_, at) => at + 1));
  expect(seen.flatMap((event) => event.chunk ?? []).join("")).toBe(
    "tick-\u20ac-1\ntick-\u20ac-2\ntick-\u20ac-3\n",
  );
  expect(seen.flatMap((event) => event.status ?? [])).toEqual(["queued", "running", "succeeded"]);
});

test("keeps the newest part of a large output and says that it was cut", async () => {
  const megabytes = 20;
  const id = await start({
    command: sh(`head -c ${String(megabytes * 1_048_576)} /dev/zero | tr '\\0' x; echo end`),
  });
  const done = await finish(id);
  expect(done).toMatchObject({
    stdoutBytes: megabytes * 1_048_576 + 4,
    stdoutTruncated: true,
    stderrTruncated: false,
  });
  expect(done.stdout.length).toBeLessThanOrEqual(keepOutputBytes);
  expect(done.stdout.endsWith("xxxend\n")).toBe(true);
  expect(done.stdout).not.toContain("\0");
});

test("a page of events has room in an answer, whatever the output is, and all pages have all of it", async () => {
  const id = await start({ command: sh("head -c 7000000 /dev/zero") });
  await finish(id);
  let bytes = 0;
  for (let cursor: string | undefined, more = true; more;) {
    const page = await plane.executions.events(machineId, id, {
      limit: 1000,
      ...(cursor === undefined ? {} : { cursor }),
    });
    const text = page.items.map(({ chunk = "" }) => chunk).join("");
    expect(JSON.stringify(text).length).toBeLessThan(6 * 4_200_000);
    bytes += text.length;
    cursor = page.nextCursor;
    more = cursor !== undefined && page.items.length > 0;
  }
  expect(bytes).toBe(7_000_000);
});

test("a command whose output is dropped while its events are read gives none of it as something else", async () => {
  const id = await start({
    command: sh("for i in 1 2 3 4 5 6; do head -c 10000000 /dev/zero | tr '\\0' x; done"),
  });
  let [cursor, more]: [string | undefined, boolean] = [undefined, true];
  while (more) {
    const page = await plane.executions.events(machineId, id, {
      limit: 1000,
      ...(cursor === undefined ? {} : { cursor }),
    });
    expect(page.items.some(({ chunk = "" }) => chunk.includes("\0"))).toBe(false);
    expect((await plane.executions.output(machineId, id)).stdout).not.toContain("\0");
    cursor = page.nextCursor ?? cursor;
    more = page.nextCursor !== undefined;
  }
});

test("kills a command that takes longer than it may", async () => {
  expect(await finish(await start({ command: ["sleep", "60"], timeoutMs: 100 }))).toMatchObject({
    status: "failed",
    errorCode: "EXECUTION_TIMEOUT",
  });
});

test("cancels a command that runs, and removes one that ended", async () => {
  const id = await start({ command: ["sleep", "60"] });
  expect(await plane.executions.remove(machineId, id)).toMatchObject({ status: "cancelled" });
  expect(await plane.executions.remove(machineId, id)).toMatchObject({ status: "cancelled" });
  await expect(plane.executions.get(machineId, id)).rejects.toMatchObject({ code: "execution_not_found" });
});

test("a command outlives the control plane, and its output goes on where it was", async () => {
  expect(await finish(await start({ command: ["mkfifo", "/tmp/go"] }))).toMatchObject({ exitCode: 0 });
  const id = await start({ command: sh("echo before; read -r line </tmp/go; echo after-$line") });
  for await (const event of events(id)) if (event.chunk === "before\n") break;
  await plane.close();
  plane = await open();
  expect(await plane.executions.get(machineId, id)).toMatchObject({ status: "running" });
  await start({ command: sh("echo on >/tmp/go") });
  expect(await finish(id)).toMatchObject({ status: "succeeded", stdout: "before\nafter-on\n" });
});

test("waking a machine by a command, and a command that its machine's sleep ends", async () => {
  const cut = await start({ command: sh("echo on; sleep 60") });
  for await (const event of events(cut)) if (event.chunk) break;
  await plane.machines.desire(machineId, "sleeping", request(), undefined, render);
  expect(await finish(cut)).toMatchObject({ status: "failed", errorCode: "MACHINE_STOPPED", stdout: "on\n" });
  await until(machineId, "sleeping");
  const id = await start({ command: ["echo", "awake"] });
  expect(await finish(id)).toMatchObject({ status: "succeeded", stdout: "awake\n" });
});

test("pages of executions are newest first", async () => {
  const [first, second] = [await start({ command: ["true"] }), await start({ command: ["true"] })];
  const page = await plane.executions.list(machineId, { limit: 1 });
  expect(page.items.map((item) => item.id)).toEqual([second]);
  const next = await plane.executions.list(machineId, { limit: 1, cursor: page.nextCursor ?? "" });
  expect(next.items.map((item) => item.id)).toEqual([first]);
});
