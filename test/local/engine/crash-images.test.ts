/**
 * A control plane that is killed, at any moment of a rich life: after each commit, and before and after everything that
 * the driver does, the database's files and the world of machines are copied. Each copy is what a kill -9 at that moment leaves.
 */
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { DatabaseSync } from "node:sqlite";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { unlimitedCapacity } from "../../../local/src/engine/capacity";
import type { ControlPlane } from "../../../local/src/engine/control-plane";
import { DriverError } from "../../../local/src/engine/driver";
import { openControlPlane } from "../../../local/src/engine/engine";
import type { LifecycleEventRecord, MachineRecord } from "../../../local/src/engine/record";
import { allEvents, bring, make, makeRunning, never, reaches, render, request, size } from "./engine-fixture";
import { ScriptedDriver, type World } from "./scripted-driver";

interface Image {
  dir: string;
  world: World;
  when: string;
}

const root = mkdtempSync(join(tmpdir(), "machines-crash-"));
afterAll(() => {
  rmSync(root, { recursive: true, force: true });
});

/** Every machine's life, one after the other. Returns the story and an image of every moment. */
async function live(): Promise<{ images: Image[]; story: LifecycleEventRecord[] }> {
  const stateDir = join(root, "life");
  mkdirSync(stateDir);
  const images: Image[] = [];
  const driver = new ScriptedDriver();
  const keep = (when: string) => {
    const dir = join(root, `image-${String(images.length)}`);
    mkdirSync(dir);
    for (const name of ["control-plane.db", "control-plane.db-wal"]) {
      if (existsSync(join(stateDir, name))) copyFileSync(join(stateDir, name), join(dir, name));
    }
    images.push({ dir, world: driver.world.copy(), when });
  };
  const plane = await openControlPlane({ stateDir, driver, capacity: unlimitedCapacity });
  try {
    let failing = false;
    driver.before = (operation) => {
      keep(`before ${operation}`);
      if (failing && (operation === "start" || operation === "snapshot")) {
        throw new DriverError("scripted", "as asked", true);
      }
    };
    driver.after = (operation) => {
      keep(`after ${operation}`);
    };
    plane.machines.followAll((machine) => {
      keep(`${machine.phase} of revision ${String(machine.revision)}`);
    });
    await scenario(plane, driver, (now) => (failing = now));
    const story = await allEvents(plane);
    return { images, story };
  } finally {
    await plane.close();
  }
}

async function scenario(
  plane: ControlPlane,
  driver: ScriptedDriver,
  fail: (now: boolean) => void,
): Promise<void> {
  const answered = (snapshot: { id: string }) => ({
    status: 201,
    headers: {},
    body: JSON.stringify(snapshot),
  });
  const first = await makeRunning(plane, { env: { A: "b" }, lease: { timeoutMs: 3_600_000 } });
  const { body } = await plane.snapshots.create(first, request(), answered);
  const snapshot = JSON.parse(body) as { id: string };
  const child = JSON.parse((await plane.machines.fork(first, request(), render)).body) as MachineRecord;
  await plane.machines.settled(child.id, "running", never);
  await bring(plane, child.id, "sleeping");
  await plane.machines.setLease(child.id, { timeoutMs: 3_600_000, timeoutAction: "hibernate" });
  await bring(plane, child.id, "running");
  while (!driver.isWatched(child.id)) await turn();
  const { revision } = await plane.machines.get(child.id);
  driver.crash(child.id, "exit 1");
  await reaches(plane, child.id, (now) => now.phase === "running" && now.revision > revision);
  fail(true);
  await expect(plane.machines.fork(first, request(), render)).rejects.toThrow("as asked");
  const failed = await make(plane, { fromSnapshotId: snapshot.id });
  await reaches(plane, failed.id, (now) => now.phase === "failed");
  fail(false);
  await bring(plane, failed.id, "running");
  await plane.snapshots.remove(snapshot.id);
  await bring(plane, first, "sleeping");
  for (const id of [first, child.id, failed.id]) await bring(plane, id, "destroyed");
}

/** The events that were committed when the image was taken. */
function toldIn(dir: string): string[] {
  const db = new DatabaseSync(join(dir, "control-plane.db"));
  const rows = db.prepare("select id from lifecycle_events order by seq").all();
  db.close();
  return rows.map(({ id }) => String(id));
}

/** Operations with a request and no end, and ends without a request, by what they are about. */
function loose(events: readonly LifecycleEventRecord[]): string[] {
  const open = new Map<string, number>();
  const wrong: string[] = [];
  for (const { operation, status, machineId, snapshotId } of events) {
    if (operation === "timeout_updated" || operation === "timeout_expired") continue;
    const about = `${operation} of ${(operation === "snapshot_created" ? snapshotId : machineId) ?? "nothing"}`;
    const count = (open.get(about) ?? 0) + (status === "requested" ? 1 : -1);
    if (count < 0 || count > 1) wrong.push(`${about}: ${status}`);
    open.set(about, count);
  }
  return [...wrong, ...[...open].filter(([, count]) => count !== 0).map(([about]) => about)];
}

test("no event is lost or told twice, and nothing is left behind, whenever the control plane is killed", async () => {
  const { images, story } = await live();
  expect(loose(story)).toEqual([]);
  expect(story.length).toBeGreaterThan(25);
  expect(images.length).toBeGreaterThan(55);
  for (const { dir, world, when } of images) {
    const told = toldIn(dir);
    const driver = new ScriptedDriver(world);
    const plane = await openControlPlane({ stateDir: dir, driver, capacity: unlimitedCapacity });
    try {
      const { items } = await plane.machines.list({ limit: 100 });
      for (const { id } of items) await reaches(plane, id, (machine) => machine.operation === null);
      const events = await allEvents(plane);
      expect({ when, loose: loose(events) }).toEqual({ when, loose: [] });
      expect(events.map((event) => event.sequence)).toEqual(events.map((_, at) => at + 1));
      expect({ when, told: events.slice(0, told.length).map((event) => event.id) }).toEqual({ when, told });
      const machines = (await plane.machines.list({ limit: 100 })).items.map((machine) => machine.id);
      expect({ when, machines: [...world.machines.keys()].filter((id) => !machines.includes(id)) }).toEqual({
        when,
        machines: [],
      });
      const needed = (await plane.snapshots.list({})).filter((snapshot) => snapshot.kind === "reusable");
      const children = (await plane.machines.list({ limit: 100 })).items.filter(
        (machine) => machine.forkedFromId !== null && machine.firstRunningAt === null,
      );
      expect({ when, snapshots: [...world.snapshots.keys()].toSorted() }).toEqual({
        when,
        snapshots: [
          ...needed.map(({ id }) => id),
          ...children.map((child) => child.fromSnapshotId),
        ].toSorted(),
      });
      const again = await plane.machines.create({ size, autosleepSeconds: 0 }, request(), render);
      await plane.machines.settled((JSON.parse(again.body) as { id: string }).id, "running", never);
    } finally {
      await plane.close();
    }
  }
}, 120_000);
