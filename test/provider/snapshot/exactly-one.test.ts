import { removeInterruptedSnapshots } from "../../../provider/src/snapshot/leftovers";
import { tagNames } from "../../../provider/src/controlplane/tags";
import { snapshotKey } from "../../../provider/src/snapshot/key";
import { SnapshotWorld, urn } from "./memory-snapshots";

const answerLost = (world: SnapshotWorld, args: Record<string, unknown>): Promise<void> => {
  world.snapshots.loseAnswer = true;
  return expect(world.create(args)).rejects.toThrow("was not taken");
};

describe.each([
  ["where snapshots carry tags", {}],
  ["where they carry none", { snapshotMetadata: false }],
])("%s", (_where, more) => {
  test("a create whose answer nobody heard is found again, in another process", async () => {
    const world = new SnapshotWorld(more);
    const machineId = await world.machine();
    await answerLost(world, { machineId });
    world.machines.restart();
    const { id } = await world.create({ machineId });
    expect(id).toBe("snap-1");
    expect(world.ids).toEqual(["snap-1"]);
    expect(world.machines.lines).toContain("found again: snap-1, of a create that was interrupted");
  });

  test("what was interrupted and then asked for differently is not taken for it, and goes", async () => {
    const world = new SnapshotWorld(more);
    const machineId = await world.machine();
    await answerLost(world, { machineId, triggers: ["before"] });
    world.machines.restart();
    const { id } = await world.create({ machineId, triggers: ["after"] });
    expect(id).toBe("snap-2");
    expect(world.ids).toEqual(["snap-2"]);
  });

  test("the same when it was of another machine", async () => {
    const world = new SnapshotWorld(more);
    const first = await world.machine("first");
    const second = await world.machine("second");
    await answerLost(world, { machineId: first });
    world.machines.restart();
    await world.create({ machineId: second });
    expect([...world.snapshots.there.values()].map((view) => view.machineId)).toEqual([second]);
  });

  test("what an interrupted create left goes with the stack", async () => {
    const world = new SnapshotWorld(more);
    await answerLost(world, { machineId: await world.machine() });
    world.machines.restart();
    await world.run((context) => removeInterruptedSnapshots(context, "stack-1"));
    expect(world.ids).toEqual([]);
    expect(await world.machines.journal.interrupted("snapshots:stack-1")).toEqual([]);
  });
});

test("with tags it goes also when its machine is gone", async () => {
  const world = new SnapshotWorld();
  const machineId = await world.machine();
  await answerLost(world, { machineId });
  world.machines.plane.destroyBehindTheBack(machineId);
  await world.run((context) => removeInterruptedSnapshots(context, "stack-1"));
  expect(world.ids).toEqual([]);
  expect(world.machines.warnings).toEqual([]);
});

test("without tags and without its machine, what may be left is named, once", async () => {
  const world = new SnapshotWorld({ snapshotMetadata: false });
  const machineId = await world.machine();
  await answerLost(world, { machineId });
  world.machines.plane.destroyBehindTheBack(machineId);
  for (let run = 0; run < 2; run += 1)
    await world.run((context) => removeInterruptedSnapshots(context, "stack-1"));
  expect(world.machines.warnings).toEqual([
    expect.stringMatching(/"golden" may have left one of machine dm-1/),
  ]);
});

test("machines that were interrupted are not looked at as snapshots, nor snapshots as machines", async () => {
  const world = new SnapshotWorld();
  const machineId = await world.machine();
  await answerLost(world, { machineId });
  await world.machines.removeInterrupted();
  expect(world.ids).toEqual(["snap-1"]);
});

test("a replacement is another snapshot, also with the same triggers", async () => {
  const world = new SnapshotWorld();
  const machineId = await world.machine();
  const { id, outs } = await world.create({ machineId });
  world.machines.restart();
  world.machines.journal.entries.clear();
  world.saw(id, outs);
  const next = await world.create({ machineId });
  expect(next.id).not.toBe(id);
  expect(next.outs).toMatchObject({ __generation: 1 });
  await world.remove(id, outs);
  expect(world.ids).toEqual([next.id]);
});

test("a snapshot that was deleted, and whose key is remembered still, is taken anew", async () => {
  const world = new SnapshotWorld();
  const machineId = await world.machine();
  const { id, outs } = await world.create({ machineId });
  await world.remove(id, outs);
  world.machines.restart();
  world.machines.journal.entries.clear();
  const next = await world.create({ machineId });
  expect(next.id).toBe("snap-2");
  expect(world.ids).toEqual(["snap-2"]);
});

test("one that the state holds under another name is not taken twice", async () => {
  const world = new SnapshotWorld();
  const machineId = await world.machine();
  const { id } = await world.create({ machineId });
  world.machines.restart();
  world.machines.journal.entries.clear();
  world.machines.seen.ids.add(id);
  expect((await world.create({ machineId })).id).toBe("snap-2");
});

test("a forced replacement that found the very snapshot again does not delete it", async () => {
  const world = new SnapshotWorld();
  const machineId = await world.machine();
  const { id, outs } = await world.create({ machineId });
  world.machines.restart();
  const again = await world.create({ machineId });
  expect(again.id).toBe(id);
  await world.remove(id, outs);
  expect(world.ids).toEqual([id]);
  expect(world.machines.warnings).toEqual([expect.stringMatching(/was kept, not replaced/)]);
  await world.remove(id, again.outs);
  expect(world.ids).toEqual([]);
});

test("the key says what was asked for, in whatever order the pairs are written", () => {
  const identity = { stackIdentity: "stack-1", urn };
  const asked = { machineId: "dm-1", triggers: [{ a: 1, b: 2 }], metadata: { x: 1, y: 2 } };
  const key = snapshotKey(identity, asked, 0);
  expect(snapshotKey(identity, { ...asked, triggers: [{ b: 2, a: 1 }], metadata: { y: 2, x: 1 } }, 0)).toBe(
    key,
  );
  const others = [
    snapshotKey(identity, asked, 1),
    snapshotKey({ ...identity, stackIdentity: "stack-2" }, asked, 0),
    snapshotKey(identity, { ...asked, machineId: "dm-2" }, 0),
    snapshotKey(identity, { ...asked, triggers: [] }, 0),
    snapshotKey(identity, { ...asked, metadata: {} }, 0),
  ];
  expect(new Set([key, ...others]).size).toBe(6);
  // In the memory of services, and of computers: for ever.
  expect(key).toBe("ps1-21ae71881aac6dba9cc28887a0825a2fbac4b70e2b5413e87056e0857a87ae0c");
});

test("a snapshot says whose it is, next to the user's own pairs, and the state holds these alone", async () => {
  const world = new SnapshotWorld();
  const { id, outs } = await world.create({ machineId: await world.machine(), metadata: { team: "shop" } });
  expect(world.snapshots.there.get(id)?.metadata).toMatchObject({
    team: "shop",
    [tagNames.project]: "shop",
    [tagNames.stack]: "dev",
    [tagNames.resource]: "golden",
    [tagNames.identity]: "stack-1",
    [tagNames.key]: outs.__key,
  });
  expect(outs.metadata).toEqual({ team: "shop" });
});
