/** The Snapshot over the adapter of the embedded control plane, and a real one. */
import { realClock, withDeadline, type Context } from "../../../provider/src/context";
import { LocalControlPlane } from "../../../provider/src/controlplane/local";
import { nothingSeen, type SeenState } from "../../../provider/src/journal";
import { core } from "../../../provider/src/snapshot/lifecycle";
import { removeInterruptedSnapshots } from "../../../provider/src/snapshot/leftovers";
import { eventually } from "../../e2e/support/run";
import { all, keyed, never, running, settled, size, startEmbedded } from "../controlplane/embedded";
import { MemoryJournal } from "../seams/world";

type Properties = Record<string, unknown>;

let local: Awaited<ReturnType<typeof startEmbedded>>;
let plane: LocalControlPlane;
let seen: SeenState;
let journal: MemoryJournal;
let lines: string[];

beforeAll(async () => {
  local = await startEmbedded("null");
  plane = new LocalControlPlane({ url: local.url, apiKey: local.apiKey });
}, 60_000);
afterAll(async () => {
  await plane.close();
  await local.close();
});
beforeEach(() => {
  seen = nothingSeen();
  journal = new MemoryJournal();
  lines = [];
});
afterEach(() => {
  local.faults.replace({ rules: [] });
});

const run = <T>(
  name: string,
  work: (context: Context) => Promise<T>,
  more: { allowedMs?: number; stop?: AbortSignal } = {},
): Promise<T> => {
  const { allowedMs = 60_000, stop = never } = more;
  const context = {
    ...{ name, urn: urnOf(name), signal: stop, controlPlane: plane, journal, seen, clock: realClock },
    log: (line: string) => void lines.push(line),
    warn: (line: string) => void lines.push(`warning: ${line}`),
    newKey: () => keyed().idempotencyKey,
    random: () => 1,
  };
  return withDeadline(context, allowedMs, work);
};
const urnOf = (name: string): string =>
  `urn:pulumi:dev::shop::pulumi-nodejs:dynamic/machines:Snapshot::${name}`;

function inputs(name: string, args: Properties): Properties {
  const hidden = { __provider: "loader", __urn: urnOf(name), __stackIdentity: "stack-1" };
  const checked = core.check({}, { ...args, ...hidden }, { backend: "local" });
  expect(checked.failures).toEqual([]);
  return checked.inputs;
}
const create = (name: string, args: Properties, more = {}) =>
  run(name, (context) => core.create(context, inputs(name, args)), more);
const idsOf = async (machineId: string): Promise<string[]> =>
  (await all(plane.snapshots.list({ machineId }, { signal: never }))).map(({ id }) => id);

test("a snapshot of a machine that runs: taken, read, given to a machine, deleted", async () => {
  const machineId = await running(plane);
  const { id, outs } = await create("golden", { machineId, metadata: { team: "blue" } });
  expect(outs).toMatchObject({
    machineId,
    metadata: { team: "blue" },
    sizeBytes: expect.any(Number) as number,
  });
  const { metadata } = await plane.snapshots.get(id, { signal: never });
  expect(metadata).toMatchObject({ team: "blue", "pulumi:resource": "golden", "pulumi:stack": "dev" });
  expect(await run("golden", (context) => core.read(context, id, outs))).toEqual({ props: outs });
  const child = await running(plane, { from: { snapshot: id } });
  await run("golden", (context) => core.remove(context, id, outs));
  expect(await idsOf(machineId)).toEqual([]);
  expect((await plane.getMachine(child, { signal: never })).phase).toBe("running");
  expect(await run("golden", (context) => core.read(context, id, outs))).toBeUndefined();
});

test("one that is there is taken over, kept by the entry that had it before, and refused where it cannot be", async () => {
  const machineId = await running(plane);
  const before = await create("old", { machineId });
  // Another deploy.
  seen = nothingSeen();
  const adopted = await create("new", { machineId, adopt: before.id });
  expect(adopted.id).toBe(before.id);
  expect(core.diff(adopted.outs, inputs("new", { machineId }))).toEqual({ changes: false, replaces: [] });
  expect(core.diff(adopted.outs, inputs("new", { machineId, adopt: "snap_other" })).replaces).toEqual([
    "adopt",
  ]);
  await run("old", (context) => core.remove(context, before.id, before.outs));
  expect(await idsOf(machineId)).toEqual([before.id]);
  await expect(create("third", { machineId, adopt: before.id })).rejects.toThrow(/another resource/);
  seen = nothingSeen();
  await expect(create("none", { machineId, adopt: "snap_none" })).rejects.toThrow(/names no snapshot/);
  const other = await running(plane);
  await expect(create("other", { machineId: other, adopt: before.id })).rejects.toThrow(
    /set machineId to that/,
  );
  await run("new", (context) => core.remove(context, adopted.id, adopted.outs));
  expect(await idsOf(machineId)).toEqual([]);
});

test("a machine that sleeps is not woken for it", async () => {
  const machineId = await running(plane);
  await plane.sleepMachine(machineId, keyed());
  await settled(plane, machineId, "sleeping");
  await create("asleep", { machineId });
  expect((await plane.getMachine(machineId, { signal: never })).phase).toBe("sleeping");
});

test("a machine that has still to start is waited for", async () => {
  local.faults.replace({ rules: [{ on: "start", times: 1, after: 0, stallMs: 400 }] });
  const { id: machineId } = await plane.createMachine(size, keyed());
  const { outs } = await create("early", { machineId });
  expect(outs).toMatchObject({ machineId });
  expect(lines.join("\n")).toMatch(/waiting for dm-\w+, which is (accepted|placement_pending|starting)/);
});

test("a machine that failed ends it with its reason", async () => {
  local.faults.replace({
    rules: [
      ...[
        {
          on: "start" as const,
          times: 1,
          after: 0,
          fail: { reason: "image_missing", lastError: "no image", retryable: false },
        },
      ],
    ],
  });
  const { id: machineId } = await plane.createMachine(size, keyed());
  await settled(plane, machineId, "failed");
  await expect(create("broken", { machineId })).rejects.toThrow(
    /snapshot "broken" of machine dm-\w+ was not taken: machine dm-\w+ is failed \(image_missing\): no image/,
  );
});

test("a run that ends in the middle of it leaves one that the next run finds", async () => {
  const machineId = await running(plane);
  local.faults.replace({
    rules: [
      {
        on: "request",
        method: "POST",
        path: `/v1/machines/${machineId}/snapshots`,
        after: 0,
        delayMs: 200,
        loseAnswer: true,
      },
    ],
  });
  const killed = new AbortController();
  const first = create("crashed", { machineId }, { stop: killed.signal });
  const rejected = expect(first).rejects.toThrow("was not taken");
  await eventually("the snapshot", async () => (await idsOf(machineId))[0]);
  killed.abort();
  await rejected;
  local.faults.replace({ rules: [] });
  seen = nothingSeen();
  const { id } = await create("crashed", { machineId });
  expect(await idsOf(machineId)).toEqual([id]);
});

test("an answer that is lost is asked for again, and there is one snapshot", async () => {
  const machineId = await running(plane);
  local.faults.replace({
    rules: [
      {
        on: "request",
        method: "POST",
        path: `/v1/machines/${machineId}/snapshots`,
        after: 0,
        times: 2,
        loseAnswer: true,
      },
    ],
  });
  const { id } = await create("lost", { machineId });
  expect(await idsOf(machineId)).toEqual([id]);
});

test("what an interrupted run left is deleted with the stack, also when its machine is gone", async () => {
  const machineId = await running(plane);
  const { id } = await create("left", { machineId });
  const [entry] = [...journal.entries.values()];
  expect(entry).toMatchObject({ machineId, snapshotId: id });
  delete entry?.snapshotId;
  await plane.deleteMachine(machineId, keyed());
  seen = nothingSeen();
  await run("", (context) => removeInterruptedSnapshots(context, "stack-1"));
  expect(await idsOf(machineId)).toEqual([]);
});

test("one that a machine is being made from now is deleted when that one runs", async () => {
  const machineId = await running(plane);
  const { id, outs } = await create("used", { machineId });
  local.faults.replace({ rules: [{ on: "start", times: 1, after: 0, stallMs: 700 }] });
  const child = await plane.createMachine({ from: { snapshot: id } }, keyed());
  await run("used", (context) => core.remove(context, id, outs));
  expect(lines.join("\n")).toMatch(new RegExp(`waiting for ${child.id} \\(`));
  expect(await idsOf(machineId)).toEqual([]);
  await settled(plane, child.id, "running");
});

test("many at once, of one machine and of many", async () => {
  const machineIds = await Promise.all(Array.from({ length: 5 }, () => running(plane)));
  const made = await Promise.all(
    Array.from({ length: 20 }, (_, n) => create(`many-${String(n)}`, { machineId: machineIds[n % 5] })),
  );
  expect(new Set(made.map(({ id }) => id)).size).toBe(20);
  await Promise.all(
    made.map(({ id, outs }, n) => run(`many-${String(n)}`, (context) => core.remove(context, id, outs))),
  );
  for (const machineId of machineIds) expect(await idsOf(machineId)).toEqual([]);
});
