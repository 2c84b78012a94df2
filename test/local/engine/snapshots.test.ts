/** Snapshots and forks on both stores: what is kept, what is made from it, what is refused, what a crash leaves. */
import type { ControlPlane, IdempotentRequest } from "../../../local/src/engine/control-plane";
import { DriverError } from "../../../local/src/engine/driver";
import type { MachineRecord, SnapshotRecord } from "../../../local/src/engine/record";
import {
  allEvents,
  bring,
  Fixture,
  make,
  makeRunning,
  never,
  reaches,
  render,
  request,
  said,
} from "./engine-fixture";
import { ScriptedDriver } from "./scripted-driver";

const snap = async (plane: ControlPlane, id: string, once: IdempotentRequest = request()) => {
  const answer = await plane.snapshots.create(id, once, (snapshot) => ({
    status: 201,
    headers: {},
    body: JSON.stringify(snapshot),
  }));
  return JSON.parse(answer.body) as SnapshotRecord;
};
const fork = async (plane: ControlPlane, id: string, once: IdempotentRequest = request()) =>
  JSON.parse((await plane.machines.fork(id, once, render)).body) as MachineRecord;

/** The driver's next operation of this name waits until `go` is called. */
function hold(driver: ScriptedDriver, held: string) {
  const reached = Promise.withResolvers<void>();
  const go = Promise.withResolvers<void>();
  driver.before = async (operation, _id, signal) => {
    if (operation !== held) return;
    reached.resolve();
    const aborted = new Promise<void>((_, reject) => {
      signal?.addEventListener("abort", () => {
        reject(new Error("aborted"));
      });
    });
    await Promise.race([go.promise, aborted]);
  };
  return { reached: reached.promise, go: go.resolve };
}

describe.each(["sqlite", "postgres"] as const)("snapshots on %s", (store) => {
  const fixture = new Fixture(store);

  test("keep the disk of a machine that goes on, and make any number of machines", async () => {
    const driver = new ScriptedDriver();
    const plane = await fixture.open({ driver });
    const id = await makeRunning(plane, {
      traits: { metadata: { run: "a" }, cwd: "/srv", egress: "deny_all" },
      env: { TOKEN: "secret" },
    });
    driver.world.of(id).disk = "golden";
    const { revision } = await plane.machines.get(id);
    const snapshot = await snap(plane, id);
    expect((await plane.machines.get(id)).revision).toBe(revision);
    expect(snapshot).toMatchObject({ machineId: id, kind: "reusable", sizeBytes: 6, metadata: { run: "a" } });
    expect(await plane.snapshots.get(snapshot.id)).toEqual(snapshot);
    driver.world.of(id).disk = "changed";
    await bring(plane, id, "destroyed");
    const made = { size: undefined, fromSnapshotId: snapshot.id, traits: { metadata: { run: "b" } } };
    for (let n = 0; n < 2; n++) {
      const child = await makeRunning(plane, made as never);
      expect(driver.world.of(child)).toMatchObject({ disk: "golden", spec: { network: "none", vcpu: 1 } });
      expect(await plane.machines.get(child)).toMatchObject({
        ...{ cwd: "/srv", metadata: { run: "b" }, fromSnapshotId: snapshot.id, memoryMiB: 512 },
      });
    }
    const ofSnapshot = await plane.lifecycle.page(
      { snapshotId: snapshot.id },
      { offset: 0, limit: 50, order: "asc" },
    );
    expect(said(ofSnapshot.events)).toEqual([
      "snapshot_created requested",
      "snapshot_created succeeded",
      "create requested",
      "create succeeded",
      "create requested",
      "create succeeded",
    ]);
    expect(JSON.stringify([await allEvents(plane), snapshot])).not.toContain("secret");
  });

  test("are made once for a key, also while it is under way and after a restart", async () => {
    const at = await fixture.place();
    const driver = new ScriptedDriver();
    const plane = await fixture.open({ at, driver });
    const id = await makeRunning(plane);
    const { reached, go } = hold(driver, "snapshot");
    const once = request();
    const first = snap(plane, id, once);
    await reached;
    await expect(snap(plane, id, once)).rejects.toMatchObject({ code: "idempotency_in_flight" });
    go();
    const snapshot = await first;
    expect(await snap(plane, id, once)).toEqual(snapshot);
    await plane.close();
    const next = await fixture.open({ at, driver: new ScriptedDriver(driver.world) });
    expect(await snap(next, id, once)).toEqual(snapshot);
    expect(await next.snapshots.list({})).toEqual([snapshot]);
    expect([...driver.world.snapshots.keys()]).toEqual([snapshot.id]);
  });

  test("are listed newest first, by machine and by metadata, together with what machines sleep on", async () => {
    const plane = await fixture.open();
    const one = await makeRunning(plane, { traits: { metadata: { run: "a", n: 1 } } });
    const two = await makeRunning(plane, { traits: { metadata: { run: "b", n: 1 } } });
    const first = await snap(plane, one);
    const second = await snap(plane, two);
    const { hibernationId } = await bring(plane, one, "sleeping");
    const ids = async (filter: Parameters<ControlPlane["snapshots"]["list"]>[0]) =>
      (await plane.snapshots.list(filter)).map((snapshot) => snapshot.id);
    expect(await ids({})).toEqual([hibernationId, second.id, first.id]);
    expect(await ids({ machineId: one })).toEqual([hibernationId, first.id]);
    expect(await ids({ metadata: { run: "b", n: 1 } })).toEqual([second.id]);
    expect(await ids({ metadata: { n: 2 } })).toEqual([]);
  });

  test("a machine sleeps on a snapshot that only it can use, until it wakes or is destroyed", async () => {
    const driver = new ScriptedDriver();
    const plane = await fixture.open({ driver });
    const id = await makeRunning(plane);
    driver.world.of(id).disk = "twelve bytes";
    const hibernation = (await bring(plane, id, "sleeping")).hibernationId ?? "";
    expect(await plane.snapshots.get(hibernation)).toMatchObject({
      ...{ machineId: id, kind: "hibernation", sizeBytes: 12 },
    });
    await expect(plane.snapshots.remove(hibernation)).rejects.toMatchObject({ code: "snapshot_in_use" });
    await expect(make(plane, { fromSnapshotId: hibernation })).rejects.toMatchObject({
      code: "snapshot_not_reusable",
    });
    expect((await bring(plane, id, "running")).hibernationId).toBeNull();
    await expect(plane.snapshots.get(hibernation)).rejects.toMatchObject({ code: "snapshot_not_found" });
    const again = (await bring(plane, id, "sleeping")).hibernationId ?? "";
    expect(again).not.toBe(hibernation);
    await bring(plane, id, "destroyed");
    expect(await plane.snapshots.list({})).toEqual([]);
  });

  test("are not removed while a machine is being made from them; afterwards that does no harm", async () => {
    const driver = new ScriptedDriver();
    const plane = await fixture.open({ driver });
    const snapshot = await snap(plane, await makeRunning(plane));
    const { reached, go } = hold(driver, "start");
    const child = await make(plane, { fromSnapshotId: snapshot.id });
    await reached;
    await expect(plane.snapshots.remove(snapshot.id)).rejects.toMatchObject({ code: "snapshot_in_use" });
    go();
    await plane.machines.settled(child.id, "running", never);
    await plane.snapshots.remove(snapshot.id);
    expect(driver.world.snapshots.size).toBe(0);
    await expect(plane.snapshots.remove(snapshot.id)).rejects.toMatchObject({ code: "snapshot_not_found" });
    await expect(make(plane, { fromSnapshotId: snapshot.id })).rejects.toMatchObject({
      code: "snapshot_not_found",
    });
    await bring(plane, child.id, "sleeping");
    await bring(plane, child.id, "running");
  });

  test("one that fails leaves nothing but its story", async () => {
    const driver = new ScriptedDriver();
    const plane = await fixture.open({ driver });
    const id = await makeRunning(plane);
    driver.before = (operation) => {
      if (operation === "snapshot") throw new DriverError("snapshot_failed", "disk full", true);
    };
    const once = request();
    await expect(snap(plane, id, once)).rejects.toMatchObject({
      code: "snapshot_failed",
      options: { retryable: true, details: { last_error: "disk full" } },
    });
    await expect(fork(plane, id)).rejects.toMatchObject({ code: "snapshot_failed" });
    const events = (await allEvents(plane)).slice(2);
    expect(said(events)).toEqual([
      "snapshot_created requested",
      "snapshot_created failed",
      "fork requested",
      "fork failed",
    ]);
    expect(events[1]).toMatchObject({ errorCode: "snapshot_failed", errorMessage: "disk full" });
    expect(await plane.snapshots.list({})).toEqual([]);
    expect((await plane.machines.list({ limit: 10 })).items).toHaveLength(1);
    driver.before = () => undefined;
    expect((await snap(plane, id, once)).machineId).toBe(id);
  });

  test("are taken of machines that run or sleep", async () => {
    const driver = new ScriptedDriver();
    const plane = await fixture.open({ driver });
    const id = await makeRunning(plane);
    await bring(plane, id, "sleeping");
    await snap(plane, id);
    await bring(plane, id, "destroyed");
    await expect(snap(plane, id)).rejects.toMatchObject({ code: "invalid_state" });
    await expect(fork(plane, id)).rejects.toMatchObject({ code: "invalid_state" });
    await expect(snap(plane, "none")).rejects.toMatchObject({ code: "machine_not_found" });
  });

  test.each(["sleeping", "destroyed"] as const)(
    "a machine that is told to be %s meanwhile waits until its disk is kept",
    async (desired) => {
      const driver = new ScriptedDriver();
      const plane = await fixture.open({ driver });
      const id = await makeRunning(plane);
      const { reached, go } = hold(driver, "snapshot");
      const taking = snap(plane, id);
      await reached;
      await plane.machines.state(id, desired);
      await new Promise(setImmediate);
      expect(driver.world.of(id).running).toBe(true);
      go();
      const snapshot = await taking;
      await plane.machines.settled(id, desired, never);
      expect(driver.world.snapshots.has(snapshot.id)).toBe(true);
    },
  );

  test("a fork has its parent's disk, traits and lease; nothing is left of what it was made from", async () => {
    const driver = new ScriptedDriver();
    const plane = await fixture.open({ driver });
    const parent = await makeRunning(plane, {
      traits: { metadata: { run: "a" }, cwd: "/srv" },
      lease: { timeoutMs: 3_600_000, timeoutAction: "hibernate", autoResume: true },
    });
    driver.world.of(parent).disk = "prepared";
    const once = request();
    const child = await fork(plane, parent, once);
    expect(await fork(plane, parent, once)).toEqual(child);
    const running = await plane.machines.settled(child.id, "running", never);
    expect(running).toMatchObject({
      forkedFromId: parent,
      ...{ cwd: "/srv", metadata: { run: "a" }, vcpu: 1 },
      lease: { timeoutMs: 3_600_000, timeoutAction: "hibernate", autoResume: true },
    });
    expect(running.lease.timeoutAt).not.toBeNull();
    expect(driver.world.of(child.id).disk).toBe("prepared");
    expect(await plane.snapshots.list({})).toEqual([]);
    await expect(plane.snapshots.get(running.fromSnapshotId ?? "")).rejects.toMatchObject({
      code: "snapshot_not_found",
    });
    expect(driver.world.snapshots.size).toBe(0);
    const events = (await allEvents(plane)).slice(2);
    expect(said(events)).toEqual(["fork requested", "fork succeeded"]);
    for (const event of events) {
      expect(event).toMatchObject({
        ...{ machineId: child.id, sourceMachineId: parent, targetMachineId: child.id },
      });
    }
    const ofParent = await plane.lifecycle.page({ machineId: parent }, { offset: 0, limit: 9, order: "asc" });
    expect(said(ofParent.events)).toContain("fork succeeded");
  });

  test("a fork that cannot start is a failed machine, repaired by a wake, and destroyed without a trace", async () => {
    const driver = new ScriptedDriver();
    const plane = await fixture.open({ driver });
    const parent = await makeRunning(plane);
    driver.before = (operation) => {
      if (operation === "start") throw new DriverError("start_failed", "no", true);
    };
    const [one, two] = [await fork(plane, parent), await fork(plane, parent)];
    for (const { id } of [one, two]) await reaches(plane, id, (machine) => machine.phase === "failed");
    expect(driver.world.snapshots.size).toBe(2);
    driver.before = () => undefined;
    await bring(plane, one.id, "running");
    await bring(plane, two.id, "destroyed");
    const ofOne = await plane.lifecycle.page({ machineId: one.id }, { offset: 0, limit: 9, order: "asc" });
    expect(said(ofOne.events)).toEqual(["fork requested", "fork failed", "fork requested", "fork succeeded"]);
    await plane.close();
    expect(driver.world.snapshots.size).toBe(0);
  });

  test.each(["snapshot", "fork"] as const)(
    "a control plane that dies while it takes a %s is followed by one that knows nothing of it",
    async (kind) => {
      const at = await fixture.place();
      const driver = new ScriptedDriver();
      const plane = await fixture.open({ at, driver });
      const id = await makeRunning(plane);
      const { reached } = hold(driver, "snapshot");
      const once = request();
      const dead = kind === "fork" ? fork(plane, id, once) : snap(plane, id, once);
      await reached;
      const dying = expect(dead).rejects.toMatchObject({ code: "snapshot_failed" });
      await plane.close();
      await dying;
      driver.world.snapshots.set("halfdone", "ha");
      const next = await fixture.open({ at, driver: new ScriptedDriver(driver.world) });
      expect(driver.world.snapshots.size).toBe(0);
      expect(await next.snapshots.list({})).toEqual([]);
      const events = (await allEvents(next)).slice(2);
      expect(said(events)).toEqual(
        kind === "fork" ? [] : ["snapshot_created requested", "snapshot_created failed"],
      );
      if (kind === "snapshot") expect(events[1]).toMatchObject({ errorCode: "interrupted" });
      if (kind === "fork") await fork(next, id, once);
      else await snap(next, id, once);
    },
  );
});
