import { initFailure } from "../seams/world";
import { SnapshotWorld } from "./memory-snapshots";

test("a snapshot that machines need names them, whose they are, and what to do", async () => {
  const world = new SnapshotWorld();
  const machineId = await world.machine();
  const tags = { __urn: "urn:pulumi:prod::mail::pulumi-nodejs:dynamic/machines:Machine::relay" };
  const { id: user } = await world.machines.create(world.machines.inputs({}, tags));
  const { id, outs } = await world.create({ machineId });
  world.snapshots.users.set(id, [user]);
  await expect(world.remove(id, outs)).rejects.toThrow(
    new RegExp(
      `snapshot "golden" \\(${id}\\) was not deleted: machines need it: ${user} \\(running, "relay" of the stack mail/prod\\). ` +
        `Destroy them first, or, .* retainOnDelete: true .* It stays in the stack`,
    ),
  );
  expect(world.ids).toEqual([id]);
});

test("a service that names nobody is quoted", async () => {
  const world = new SnapshotWorld();
  const { id, outs } = await world.create({ machineId: await world.machine() });
  world.snapshots.users.set(id, []);
  await expect(world.remove(id, outs)).rejects.toThrow(/does not say which \(snapshot snap-1 is in use\)/);
});

test("one that a machine is being made from is waited for", async () => {
  const world = new SnapshotWorld();
  const machineId = await world.machine();
  const { id, outs } = await world.create({ machineId });
  world.snapshots.users.set(id, [machineId]);
  const { plane, clock } = world.machines;
  plane.set(machineId, { phase: "starting" });
  clock.after(5_000, () => {
    plane.set(machineId, { phase: "running" });
    world.snapshots.users.delete(id);
  });
  await world.remove(id, outs);
  expect(world.ids).toEqual([]);
  expect(world.machines.lines).toContainEqual(expect.stringMatching(/^waiting for dm-1 \(starting/));
});

test("one that is gone already is success, and a read drops it", async () => {
  const world = new SnapshotWorld();
  const { id, outs } = await world.create({ machineId: await world.machine() });
  world.snapshots.there.clear();
  expect(await world.read(id, outs)).toBeUndefined();
  await world.remove(id, outs);
});

test("a read answers what the state held, and a get what the service has", async () => {
  const world = new SnapshotWorld();
  const machineId = await world.machine();
  const { id, outs } = await world.create({ machineId, metadata: { team: "shop" }, triggers: [1] });
  expect(await world.read(id, outs)).toEqual({ props: outs });
  const { props } = (await world.read(id, { __provider: "loader" })) ?? {};
  expect(props).toMatchObject({ machineId, metadata: { team: "shop" }, sizeBytes: 3 * 1024 * 1024 });
  expect(props).not.toHaveProperty("__key");
});

test("an update of one that was deleted by hand says how to get it out of the stack", async () => {
  const world = new SnapshotWorld();
  const machineId = await world.machine();
  const { id, outs } = await world.create({ machineId });
  world.snapshots.there.clear();
  const failure = await initFailure(world.update(id, outs, { machineId, timeouts: { create: "1m" } }));
  expect(failure.reasons.join("\n")).toMatch(/does not exist any more.*\n.*pulumi refresh/);
});
