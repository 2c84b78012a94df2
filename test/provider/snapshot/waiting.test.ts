import { core } from "../../../provider/src/snapshot/lifecycle";
import { RefusedError } from "../../../provider/src/controlplane/port";
import { initFailure } from "../seams/world";
import { SnapshotWorld } from "./memory-snapshots";

const notReady = (): RefusedError =>
  new RefusedError("the machine is busy with another snapshot", { code: "INVALID_STATE", retryable: false });

test("a machine that is on its way is waited for, and the row says so", async () => {
  const world = new SnapshotWorld();
  const machineId = await world.machine();
  const { plane, clock } = world.machines;
  plane.set(machineId, { phase: "starting", reason: "image_pull", desiredState: "running" });
  clock.after(30_000, () => plane.set(machineId, { phase: "running", reason: "" }));
  const { id } = await world.create({ machineId });
  expect(id).toBe("snap-1");
  expect(world.snapshots.attempts).toHaveLength(2);
  expect(world.machines.lines).toContain(
    `waiting for ${machineId}, which is starting (image_pull): the machine is starting`,
  );
  expect(world.machines.lines.join("\n")).toMatch(
    /still waiting for dm-1, starting \(image_pull\), after 20 s/,
  );
});

test("a machine that falls asleep meanwhile is asked once more, asleep", async () => {
  const world = new SnapshotWorld();
  const machineId = await world.machine();
  world.machines.plane.fallAsleep(machineId);
  const { id } = await world.create({ machineId });
  expect(id).toBe("snap-1");
});

test("a sleeping machine, where none is taken of it, is an error that says what to do", async () => {
  const world = new SnapshotWorld();
  world.snapshots.takesSleeping = false;
  const machineId = await world.machine();
  world.machines.plane.set(machineId, { phase: "sleeping", desiredState: "sleeping" });
  await expect(world.create({ machineId })).rejects.toThrow(
    /snapshot "golden" of machine dm-1 was not taken: machine dm-1 sleeps, .* desiredState: "running" .* "pulumi up" again/,
  );
});

test("a machine that failed is an error with its own words", async () => {
  const world = new SnapshotWorld();
  const machineId = await world.machine();
  world.machines.plane.set(machineId, {
    phase: "failed",
    reason: "image_missing",
    lastError: "no such image",
  });
  await expect(world.create({ machineId })).rejects.toThrow(
    /was not taken: machine dm-1 is failed \(image_missing\): no such image/,
  );
});

test("a machine that is gone is an error that says how to go on", async () => {
  const world = new SnapshotWorld();
  const machineId = await world.machine();
  world.machines.plane.destroyBehindTheBack(machineId);
  await expect(world.create({ machineId })).rejects.toThrow(
    /dm-1 does not exist any more; "pulumi up --refresh"/,
  );
});

test("a machine that runs and is busy is asked again, with pauses", async () => {
  const world = new SnapshotWorld();
  const machineId = await world.machine();
  world.snapshots.refuseCreate = [notReady(), notReady(), notReady()];
  const began = world.machines.clock.now();
  await world.create({ machineId });
  expect(world.snapshots.attempts).toHaveLength(4);
  expect(world.machines.clock.now() - began).toBe(7_000);
});

test("429 is waited out with the service's own pause, and the reason is on the row", async () => {
  const world = new SnapshotWorld();
  const machineId = await world.machine();
  world.snapshots.refuseCreate = [
    new RefusedError("too many requests", { code: "rate_limited", retryable: true, retryAfterMs: 5_000 }),
  ];
  await world.create({ machineId });
  expect(world.machines.lines).toContain("too many requests; trying again in 5 s");
});

test("a long snapshot says from time to time that it goes on, and at the end how much it holds", async () => {
  const world = new SnapshotWorld();
  const machineId = await world.machine();
  world.snapshots.takesMs = 50_000;
  await world.create({ machineId });
  expect(world.machines.lines.slice(-4)).toEqual([
    `taking a snapshot of ${machineId}`,
    `still taking a snapshot of ${machineId} after 20 s`,
    `still taking a snapshot of ${machineId} after 40 s`,
    `snap-1 of ${machineId}: 3 MiB`,
  ]);
});

test("a deadline says how long it was, and how it goes on", async () => {
  const world = new SnapshotWorld();
  const machineId = await world.machine();
  world.machines.plane.set(machineId, { phase: "starting", desiredState: "running" });
  const work = world.run((context) => core.create(context, world.inputs({ machineId })), 60_000);
  await expect(work).rejects.toThrow(
    /not within 1m00s \(timeouts.create\); .* the next "pulumi up" finds it/,
  );
});

test("a refusal keeps the service's words and the request id", async () => {
  const world = new SnapshotWorld();
  const machineId = await world.machine();
  world.snapshots.refuseCreate = [
    new RefusedError("the quota is used up", {
      code: "quota_exceeded",
      retryable: false,
      requestId: "req-7",
    }),
  ];
  await expect(world.create({ machineId })).rejects.toThrow(/the quota is used up \(request id req-7\)/);
  expect(world.ids).toEqual([]);
});

test("one that was taken and could not be looked at is recorded, and the next update looks again", async () => {
  const world = new SnapshotWorld();
  const machineId = await world.machine();
  world.snapshots.refuseGet = [new RefusedError("forbidden", { code: "forbidden", retryable: false })];
  const failure = await initFailure(world.create({ machineId }));
  expect(failure).toMatchObject({ id: "snap-1", properties: { machineId, sizeBytes: 3 * 1024 * 1024 } });
  expect(failure.reasons.join("\n")).toMatch(/was taken, and could not be looked at: forbidden/);
  const outs = await world.update("snap-1", failure.properties, { machineId });
  expect(outs).toMatchObject({ machineId, __generation: 0, __key: failure.properties.__key });
});
