import { RefusedError } from "../../../provider/src/controlplane/port";
import { initFailure, World } from "../seams/world";

const held = (retryAfterMs: number): RefusedError =>
  new RefusedError("the machine was woken a moment ago and may not sleep before 10:05", {
    code: "SLEEP_HOLD_WINDOW_ACTIVE",
    retryable: true,
    retryAfterMs,
  });

async function running(
  args: Record<string, unknown> = {},
): Promise<{ world: World; id: string; outs: Record<string, unknown> }> {
  const world = new World();
  const { id, outs } = await world.create(world.inputs(args));
  world.plane.calls.length = 0;
  world.lines = [];
  return { world, id, outs };
}

describe("update", () => {
  test("resizes a running machine in place, and sends only what changed", async () => {
    const { world, id, outs } = await running();
    const after = await world.update(id, outs, world.inputs({ vcpu: 2, storageGiB: 20 }));
    expect(after).toMatchObject({
      vcpu: 2,
      storageGiB: 20,
      memoryMiB: 2048,
      phase: "running",
      __generation: 0,
    });
    expect(world.plane.calls).toEqual(["get", "update"]);
  });

  test("puts to sleep, and wakes", async () => {
    const { world, id, outs } = await running();
    const asleep = await world.update(id, outs, world.inputs({ desiredState: "sleeping" }));
    expect(asleep).toMatchObject({ phase: "sleeping", desiredState: "sleeping" });
    const awake = await world.update(id, asleep, world.inputs({ desiredState: "running" }));
    expect(awake).toMatchObject({ phase: "running", desiredState: "running" });
  });

  test("a machine asleep by its own autosleep is resized without being woken", async () => {
    const { world, id, outs } = await running({ autosleep: "30s" });
    world.plane.fallAsleep(id);
    const after = await world.update(id, outs, world.inputs({ autosleep: "30s", memoryMiB: 4096 }));
    expect(after).toMatchObject({ memoryMiB: 4096, desiredState: "running" });
    expect(world.plane.calls).not.toContain("wake");
  });

  test("a machine that somebody put to sleep, with autosleep off, is woken", async () => {
    const { world, id, outs } = await running({ autosleep: "never" });
    world.plane.fallAsleep(id);
    const after = await world.update(id, outs, world.inputs({ autosleep: "never" }));
    expect(after.phase).toBe("running");
  });

  test("the sleep hold window is waited out, with the reason on the terminal", async () => {
    const { world, id, outs } = await running();
    world.plane.refuse.sleep = [held(290_000)];
    const before = world.clock.now();
    const after = await world.update(id, outs, world.inputs({ desiredState: "sleeping" }));
    expect(after.phase).toBe("sleeping");
    expect(world.clock.now() - before).toBeGreaterThanOrEqual(290_000);
    expect(world.lines[1]).toBe(
      "the machine was woken a moment ago and may not sleep before 10:05; trying again in 4m50s",
    );
  });

  test("a wait past the deadline is not begun", async () => {
    const { world, id, outs } = await running();
    world.plane.refuse.sleep = [held(700_000)];
    const before = world.clock.now();
    const failure = await initFailure(world.update(id, outs, world.inputs({ desiredState: "sleeping" })));
    expect(failure.reasons[0]).toContain("could not be changed: the machine was woken a moment ago");
    expect(failure.properties).toMatchObject({ phase: "running", desiredState: "running" });
    expect(world.clock.now()).toBe(before);
  });

  test("a sleep stated while the machine still starts waits until it runs", async () => {
    const { world, id, outs } = await running();
    await world.update(id, outs, world.inputs({ desiredState: "sleeping" }));
    const options = { signal: new AbortController().signal, idempotencyKey: "by somebody else" };
    await world.plane.wakeMachine(id, options);
    const after = await world.update(id, outs, world.inputs({ desiredState: "sleeping" }));
    expect(after.phase).toBe("sleeping");
  });

  test("repairs a failed machine, also when its failure was not retryable", async () => {
    const world = new World();
    world.plane.failStarts = [{ reason: "image_missing", lastError: "no such image", retryable: false }];
    const failure = await initFailure(world.create(world.inputs()));
    world.restart();
    const after = await world.update(failure.id, failure.properties, world.inputs());
    expect(after).toMatchObject({ phase: "running" });
    expect(after.lastError).toBe("no such image");
    expect(world.lines).toContain("failed before: failed (image_missing): no such image; trying again");
  });

  test("a machine that is kept asleep and has never run must run before its failure counts as repaired", async () => {
    const world = new World();
    const broken = { reason: "image_missing", lastError: "no such image", retryable: false };
    world.plane.failStarts = [broken, broken];
    const asleep = world.inputs({ desiredState: "sleeping" });
    const failure = await initFailure(world.create(asleep));
    const again = await initFailure(world.update(failure.id, failure.properties, asleep));
    expect(again.reasons[0]).toContain("no such image");
    world.plane.calls.length = 0;
    expect(await world.update(again.id, again.properties, asleep)).toMatchObject({ phase: "sleeping" });
    expect(world.plane.calls.filter((call) => call !== "get")).toEqual(["wake", "sleep"]);
  });

  test("repairs with another size when the program asks for one", async () => {
    const world = new World();
    world.plane.failStarts = [{ reason: "insufficient_capacity", lastError: "no room", retryable: true }];
    const failure = await initFailure(
      world.create(world.inputs({ memoryMiB: 65536, failure: { retries: 0 } })),
    );
    world.plane.calls.length = 0;
    const after = await world.update(failure.id, failure.properties, world.inputs({ memoryMiB: 1024 }));
    expect(after).toMatchObject({ phase: "running", memoryMiB: 1024 });
    expect(world.plane.calls).toEqual(["get", "update", "wake"]);
  });

  test("a failure that stays is told again", async () => {
    const world = new World();
    const broken = { reason: "image_missing", lastError: "no such image", retryable: false };
    world.plane.failStarts = [broken, broken];
    const failure = await initFailure(world.create(world.inputs()));
    const again = await initFailure(world.update(failure.id, failure.properties, world.inputs()));
    expect(again.reasons[0]).toContain("no such image");
    expect(world.plane.calls.filter((call) => call === "wake")).toHaveLength(1);
  });

  test("a disk that is larger than asked for is refused with what to do", async () => {
    const { world, id, outs } = await running({ storageGiB: 20 });
    const failure = await initFailure(world.update(id, outs, world.inputs({ storageGiB: 10 })));
    expect(failure.reasons.join("\n")).toMatch(/a disk never shrinks.*replaceOnStorageShrink/s);
    expect(failure.properties.storageGiB).toBe(20);
  });

  test("a machine that is gone is said to be gone", async () => {
    const { world, id, outs } = await running();
    world.plane.destroyBehindTheBack(id);
    const failure = await initFailure(world.update(id, outs, world.inputs({ vcpu: 2 })));
    expect(failure.reasons.join("\n")).toMatch(/does not exist any more.*pulumi refresh/s);
  });
});

describe("read", () => {
  test("a machine that is gone is undefined", async () => {
    const { world, id, outs } = await running();
    world.plane.destroyBehindTheBack(id);
    expect(await world.read(id, outs)).toBeUndefined();
  });

  test("autosleep is no drift", async () => {
    const { world, id, outs } = await running({ autosleep: "5m" });
    world.plane.set(id, { phase: "sleeping", desiredState: "sleeping" });
    const result = await world.read(id, outs);
    expect(result?.inputs).toBeUndefined();
    expect(result?.props).toMatchObject({ phase: "sleeping", desiredState: "running" });
  });

  test("what somebody changed is drift of that argument only, and no default any more", async () => {
    const { world, id, outs } = await running({ autosleep: "5m" });
    world.plane.set(id, { memoryMiB: 8192, autosleepSeconds: 3600 });
    const result = await world.read(id, outs);
    expect(result?.inputs).toMatchObject({
      vcpu: 1,
      memoryMiB: 8192,
      autosleep: "1h",
      __defaults: ["vcpu", "storageGiB"],
    });
    expect(result?.inputs).not.toHaveProperty("phase");
    expect(result?.inputs).not.toHaveProperty("__generation");
  });
});

describe("delete", () => {
  test("waits until the machine is gone", async () => {
    const { world, id, outs } = await running();
    await world.remove(id, outs);
    expect(world.plane.living).toEqual([]);
    expect(world.lines).toEqual(["destroying", "destroyed"]);
  });

  test("of a machine that is gone succeeds", async () => {
    const { world, id, outs } = await running();
    world.plane.destroyBehindTheBack(id);
    await world.remove(id, outs);
  });

  test("repeats what the service calls retryable, and tells what it does not", async () => {
    const { world, id, outs } = await running();
    const busy = new RefusedError("503: busy", { code: "DEPENDENCY_UNAVAILABLE", retryable: true });
    const forbidden = new RefusedError("403: no", { code: "AUTH", retryable: false, requestId: "req-3" });
    world.plane.refuse.delete = [busy, forbidden];
    await expect(world.remove(id, outs)).rejects.toThrow(
      /machine "worker" \(dm-1\) was not deleted: 403: no; .*request id req-3. It stays in the stack/,
    );
    expect(world.lines).toEqual(["503: busy; trying again in 1 s"]);
  });
});
