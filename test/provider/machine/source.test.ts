import { capabilities } from "../../../provider/src/controlplane/capabilities";
import { RefusedError } from "../../../provider/src/controlplane/port";
import type { SnapshotPort, SnapshotView } from "../../../provider/src/controlplane/snapshot-port";
import { SnapshotGoneError } from "../../../provider/src/controlplane/snapshot-port";
import { tagNames } from "../../../provider/src/controlplane/tags";
import type { MemoryPlane } from "../seams/memory-plane";
import { initFailure, urn, World } from "../seams/world";

const small = { vcpu: 1, memoryMiB: 512, storageGiB: 5, autosleep: "never" };

/** Snapshots of the machines of a plane in memory. */
class MemorySnapshots implements SnapshotPort {
  readonly there = new Map<string, SnapshotView>();
  readonly deleted: string[] = [];
  private readonly keys = new Map<string, string>();
  refuse: RefusedError[] = [];

  async create(machineId: string, _spec: object, { idempotencyKey }: { idempotencyKey: string }) {
    const refusal = this.refuse.shift();
    if (refusal) throw refusal;
    const id = this.keys.get(idempotencyKey) ?? `snap-${String(this.there.size + 1)}`;
    this.keys.set(idempotencyKey, id);
    const view = { id, machineId, sizeBytes: 1, createdAt: "2026-01-01T00:00:00Z", metadata: {} };
    if (!this.deleted.includes(id)) this.there.set(id, view);
    return view;
  }
  async get(id: string) {
    const found = this.there.get(id);
    if (!found) throw new SnapshotGoneError(id);
    return found;
  }
  async *list() {
    yield* this.there.values();
  }
  async delete(id: string) {
    this.there.delete(id);
    this.deleted.push(id);
  }
}

function worldWithSnapshots(): { world: World; snapshots: MemorySnapshots } {
  const world = new World();
  const snapshots = new MemorySnapshots();
  world.plane.capabilities = { ...capabilities.local };
  (world.plane as MemoryPlane & { snapshots?: SnapshotPort }).snapshots = snapshots;
  return { world, snapshots };
}

const specOf = (world: World, id: string) => world.plane.specOf(id);

describe("tags", () => {
  test("a machine says which resource of which stack it is, where the backend keeps metadata", async () => {
    const { world } = worldWithSnapshots();
    const { id } = await world.create(world.inputs(small));
    expect(specOf(world, id).tags).toMatchObject({
      [tagNames.project]: "shop",
      [tagNames.stack]: "dev",
      [tagNames.resource]: "worker",
      [tagNames.identity]: "stack-1",
    });
  });

  test("a create that was interrupted is found by them, also when the program and the computer are others", async () => {
    const { world } = worldWithSnapshots();
    world.plane.loseCreateAnswer = true;
    await expect(world.create(world.inputs(small))).rejects.toThrow("was not created");
    world.restart();
    world.journal.entries.clear();
    const { id } = await world.create(world.inputs({ ...small, memoryMiB: 1024 }));
    expect(world.plane.living.map((machine) => machine.id)).toEqual([id]);
    expect(world.plane.living[0]).toMatchObject({ phase: "running", memoryMiB: 1024 });
  });

  test("what was interrupted and never taken up goes with the stack, and nothing is made for that", async () => {
    const { world } = worldWithSnapshots();
    world.plane.loseCreateAnswer = true;
    await expect(world.create(world.inputs(small))).rejects.toThrow("was not created");
    world.restart();
    await world.removeInterrupted();
    expect(world.plane.living).toEqual([]);
    expect(world.plane.calls.filter((call) => call.startsWith("create"))).toHaveLength(1);
  });
});

describe("adopt", () => {
  test("takes a machine over as it is, and the argument can go afterwards", async () => {
    const { world } = worldWithSnapshots();
    const other = await world.create(world.inputs({ ...small, memoryMiB: 4096 }, { __urn: `${urn}-other` }));
    world.restart();
    const adopted = await world.create(world.inputs({ adopt: other.id }));
    expect(adopted.id).toBe(other.id);
    expect(adopted.outs).toMatchObject({ memoryMiB: 4096, phase: "running" });
    const olds = adopted.outs;
    const { adopt: _adopt, ...rest } = world.inputs({ adopt: other.id });
    expect(await world.update(other.id, olds, rest)).toMatchObject({ memoryMiB: 4096 });
    expect(world.plane.living).toHaveLength(1);
  });

  test("brings the machine to what the program asks for", async () => {
    const { world } = worldWithSnapshots();
    const other = await world.create(world.inputs(small, { __urn: `${urn}-other` }));
    world.restart();
    const { outs } = await world.create(
      world.inputs({ adopt: other.id, memoryMiB: 2048, desiredState: "sleeping" }),
    );
    expect(outs).toMatchObject({ phase: "sleeping", memoryMiB: 2048 });
  });

  test("a machine that is not there is an error, and nothing is made", async () => {
    const { world } = worldWithSnapshots();
    await expect(world.create(world.inputs({ adopt: "dm-77" }))).rejects.toThrow(
      /names no machine of the backend.*dm-77/,
    );
    expect(world.plane.living).toEqual([]);
  });

  test("a machine that another resource of the program has taken over is refused", async () => {
    const { world } = worldWithSnapshots();
    const other = await world.create(world.inputs(small, { __urn: `${urn}-other` }));
    await expect(world.create(world.inputs({ adopt: other.id }))).rejects.toThrow(/another resource/);
  });

  test("the old entry of a machine that was taken over under a new name is dropped, and the machine stays", async () => {
    const { world } = worldWithSnapshots();
    const before = await world.create(world.inputs(small, { __urn: `${urn}-old` }));
    world.restart();
    await world.create(world.inputs({ adopt: before.id }));
    await world.remove(before.id, before.outs);
    expect(world.plane.living).toHaveLength(1);
  });
});

describe('beforeReplace: "snapshot"', () => {
  const args = { ...small, beforeReplace: "snapshot", triggers: ["a"] };

  test("the new machine starts from the old disk; the snapshot goes when it runs", async () => {
    const { world, snapshots } = worldWithSnapshots();
    const old = await world.create(world.inputs(args));
    world.restart();
    await world.sighted(old.id, old.outs);
    world.seen.replacing.set(urn, old.id);
    const next = await world.create(world.inputs({ ...args, triggers: ["b"] }));
    expect(next.id).not.toBe(old.id);
    expect(specOf(world, next.id).from).toEqual({ snapshot: "snap-1" });
    expect(snapshots.deleted).toEqual(["snap-1"]);
    await world.remove(old.id, old.outs);
    expect(world.plane.living.map(({ id }) => id)).toEqual([next.id]);
  });

  test("where the old machine goes first, its disk is kept before", async () => {
    const { world } = worldWithSnapshots();
    const old = await world.create(world.inputs(args));
    world.restart();
    await world.sighted(old.id, old.outs);
    world.seen.replacing.set(urn, old.id);
    await world.remove(old.id, old.outs);
    const next = await world.create(world.inputs({ ...args, triggers: ["b"] }));
    expect(specOf(world, next.id).from).toEqual({ snapshot: "snap-1" });
  });

  test("an interrupted replacement goes on from the same snapshot, without the old machine", async () => {
    const { world, snapshots } = worldWithSnapshots();
    const old = await world.create(world.inputs(args));
    world.restart();
    await world.sighted(old.id, old.outs);
    world.seen.replacing.set(urn, old.id);
    await world.remove(old.id, old.outs);
    world.restart();
    await world.sighted(old.id, old.outs);
    const next = await world.create(world.inputs({ ...args, triggers: ["b"] }));
    expect(specOf(world, next.id).from).toEqual({ snapshot: "snap-1" });
    expect([...snapshots.there.keys()]).toEqual([]);
  });

  test("a snapshot that cannot be taken stops the replacement, and the old machine stays", async () => {
    const { world, snapshots } = worldWithSnapshots();
    const old = await world.create(world.inputs(args));
    world.restart();
    await world.sighted(old.id, old.outs);
    world.seen.replacing.set(urn, old.id);
    snapshots.refuse = [
      new RefusedError("the quota is used up", { code: "quota_exceeded", retryable: false }),
    ];
    await expect(world.create(world.inputs({ ...args, triggers: ["b"] }))).rejects.toThrow(
      /no snapshot of dm-1 could be taken.*quota is used up/,
    );
    expect(world.plane.living.map(({ id }) => id)).toEqual([old.id]);
  });
});

describe("settings that no view shows", () => {
  test("a lifetime is set in place, and one that is taken out of the program ends", async () => {
    const { world } = worldWithSnapshots();
    const { id, outs } = await world.create(world.inputs({ ...small, lifetime: { timeout: "1h" } }));
    const second = await world.update(id, outs, world.inputs({ ...small, lifetime: { timeout: "2h" } }));
    expect(specOf(world, id).lifetime).toEqual({ timeout: "2h" });
    await world.update(id, second, world.inputs(small));
    expect(specOf(world, id).lifetime).toEqual({ timeout: "never" });
  });

  test("one that somebody else set is drift, and the next run sets it back", async () => {
    const { world } = worldWithSnapshots();
    const asked = world.inputs({ ...small, lifetime: { timeout: "1h" } });
    const { id, outs } = await world.create(asked);
    await world.plane.updateMachine(
      id,
      { lifetime: { timeout: "9h", then: "destroy" } },
      { signal: new AbortController().signal, idempotencyKey: "by-hand" },
    );
    const found = await world.read(id, outs);
    expect(found?.props.lifetime).toEqual({ timeout: "9h" });
    expect(found?.inputs?.lifetime).toEqual({ timeout: "9h" });
    expect(world.warnings.join()).toMatch(/another lifetime outside of Pulumi/);
    await world.update(id, found?.props ?? {}, asked);
    expect(specOf(world, id).lifetime).toEqual({ timeout: "1h" });
  });

  test("one that could not be set stays a difference for the next run", async () => {
    const { world } = worldWithSnapshots();
    const { id, outs } = await world.create(world.inputs({ ...small, lifetime: { timeout: "1h" } }));
    world.plane.refuse.update = [new RefusedError("no", { code: "forbidden", retryable: false })];
    const failure = await initFailure(
      world.update(id, outs, world.inputs({ ...small, lifetime: { timeout: "2h" } })),
    );
    expect(failure.properties.lifetime).toEqual({ timeout: "1h" });
    expect(failure.reasons.join("\n")).toContain("no");
  });
});
