import { RefusedError } from "../../../provider/src/controlplane/port";
import { initFailure, World } from "../seams/world";

const imageMissing = { reason: "image_missing", lastError: "no such image: base-9", retryable: false };
const noRoom = { reason: "insufficient_capacity", lastError: "no host has 4 GiB free", retryable: true };

describe("create", () => {
  test("returns when the machine runs, with the full state", async () => {
    const world = new World();
    const { id, outs } = await world.create(world.inputs({ vcpu: 0.5, autosleep: "5m" }));
    expect(outs).toMatchObject({
      vcpu: 0.5,
      memoryMiB: 2048,
      storageGiB: 10,
      autosleep: "5m",
      autosleepSeconds: 300,
      desiredState: "running",
      phase: "running",
      retryable: false,
      schemaVersion: 1,
      __provider: "loader",
    });
    expect(Object.values(outs)).not.toContain(undefined);
    expect(world.plane.living.map((machine) => machine.id)).toEqual([id]);
    expect(world.lines).toEqual(["accepted", "placement_pending", "starting", "running"]);
  });

  test("a machine that is to be asleep runs first", async () => {
    const world = new World();
    const { outs } = await world.create(world.inputs({ desiredState: "sleeping" }));
    expect(outs).toMatchObject({ phase: "sleeping", desiredState: "sleeping" });
    expect(world.lines).toEqual([
      "accepted",
      "placement_pending",
      "starting",
      "running",
      "stopping",
      "sleeping",
    ]);
  });

  test("a machine that falls asleep by its own autosleep while it is watched is what was asked for", async () => {
    const world = new World();
    world.plane.onRunning = (id) => world.plane.fallAsleep(id);
    const { outs } = await world.create(world.inputs({ autosleep: "30s" }));
    expect(outs).toMatchObject({ desiredState: "running", phase: "running" });
    expect(world.plane.calls).not.toContain("wake");
  });

  test("is found again when the answer was lost, by the next run", async () => {
    const world = new World();
    world.plane.loseCreateAnswer = true;
    await expect(world.create(world.inputs())).rejects.toThrow('machine "worker" was not created');
    world.restart();
    const { id } = await world.create(world.inputs());
    expect(world.plane.living.map((machine) => machine.id)).toEqual([id]);
    expect(world.lines).toContain("found again: dm-1, of a create that was interrupted");
  });

  test("is found again on another computer, which has no journal", async () => {
    const world = new World();
    world.plane.loseCreateAnswer = true;
    await expect(world.create(world.inputs())).rejects.toThrow();
    world.restart();
    world.journal.entries.clear();
    await world.create(world.inputs());
    expect(world.plane.living).toHaveLength(1);
  });

  test("is found again when the program asks for another size by then, and gets that size", async () => {
    const world = new World();
    world.plane.loseCreateAnswer = true;
    await expect(world.create(world.inputs({ memoryMiB: 1024 }))).rejects.toThrow();
    world.restart();
    const { id, outs } = await world.create(world.inputs({ memoryMiB: 4096, autosleep: "1h" }));
    expect(world.plane.living.map((machine) => machine.id)).toEqual([id]);
    expect(outs).toMatchObject({ memoryMiB: 4096, autosleepSeconds: 3600 });
  });

  test("rather fails than makes a second machine when nobody knows the earlier size", async () => {
    const world = new World();
    world.plane.loseCreateAnswer = true;
    await expect(world.create(world.inputs({ memoryMiB: 1024 }))).rejects.toThrow();
    world.restart();
    world.journal.entries.clear();
    await expect(world.create(world.inputs({ memoryMiB: 4096 }))).rejects.toThrow(
      /"worker" was not created.*another size.*give the resource another name/s,
    );
    expect(world.plane.living).toHaveLength(1);
  });

  test("makes a new machine when the earlier one was destroyed", async () => {
    const world = new World();
    for (const forget of [false, true]) {
      const first = await world.create(world.inputs());
      await world.remove(first.id, first.outs);
      world.restart();
      if (forget) world.journal.entries.clear();
      const second = await world.create(world.inputs());
      expect(second.id).not.toBe(first.id);
      expect(world.plane.living.map((machine) => machine.id)).toEqual([second.id]);
      await world.remove(second.id, second.outs);
    }
  });

  test("makes a machine of another size when the earlier one was destroyed", async () => {
    const world = new World();
    const first = await world.create(world.inputs({ memoryMiB: 1024 }));
    await world.remove(first.id, first.outs);
    world.restart();
    const second = await world.create(world.inputs({ memoryMiB: 4096 }));
    expect(second.outs.memoryMiB).toBe(4096);
  });

  test("two stacks with the same names have their own machines", async () => {
    const world = new World();
    await world.create(world.inputs());
    await world.create(world.inputs({}, { __stackIdentity: "stack-2" }));
    expect(world.plane.living).toHaveLength(2);
  });

  test("a failure that cannot be retried is told in full, and the machine is kept", async () => {
    const world = new World();
    world.plane.failStarts = [imageMissing];
    const failure = await initFailure(world.create(world.inputs()));
    expect(failure.id).toBe("dm-1");
    expect(failure.properties).toMatchObject({
      phase: "failed",
      lastError: imageMissing.lastError,
      __provider: "loader",
    });
    const text = failure.reasons.join("\n");
    expect(text).toContain('machine "worker" (dm-1) failed after starting: no such image: base-9');
    expect(text).toContain(
      "phase failed, reason image_missing, retryable: no, last_error: no such image: base-9",
    );
    expect(text).toContain("revision 4, desired state running, backend dedalus, request id not given");
    expect(text).toMatch(
      /seen: accepted at .*Z, placement_pending after 10 ms, starting after 20 ms, failed/,
    );
    expect(text).toContain('"pulumi up" tries again, "pulumi destroy" removes the machine');
    for (const reason of failure.reasons) expect(reason).not.toContain("\n");
  });

  test("words of the service cannot break the terminal", async () => {
    const world = new World();
    world.plane.failStarts = [{ ...imageMissing, lastError: "mount failed:\n\u001b[31m/dev/vdb\r\n busy" }];
    const failure = await initFailure(world.create(world.inputs()));
    expect(failure.reasons[0]).toContain("failed after starting: mount failed: [31m/dev/vdb busy");
    expect(failure.properties.lastError).toContain("\n");
  });

  test("retryable failures are retried within the budget", async () => {
    const world = new World();
    world.plane.failStarts = [noRoom, noRoom, noRoom];
    const { outs } = await world.create(world.inputs());
    expect(outs.phase).toBe("running");
    expect(world.plane.calls.filter((call) => call === "wake")).toHaveLength(3);
    expect(world.lines).toContain(
      "failed: failed (insufficient_capacity): no host has 4 GiB free; retry 1 of 3 in 500 ms",
    );
  });

  test("past the budget the deploy fails and says how often it was tried", async () => {
    const world = new World();
    world.plane.failStarts = [noRoom, noRoom];
    const failure = await initFailure(world.create(world.inputs({ failure: { retries: 1 } })));
    expect(failure.reasons.join("\n")).toContain('retried 1 of 1 times (argument "failure")');
  });

  test("past the deadline the message names the phase and how long it has been stuck", async () => {
    const world = new World();
    world.plane.startMs = Infinity;
    const failure = await initFailure(world.create(world.inputs()));
    expect(failure.reasons[0]).toBe(
      'machine "worker" (dm-1) is not running after 10m00s: starting for 9m59s now',
    );
    expect(world.lines.filter((line) => line.startsWith("still starting after"))).toHaveLength(29);
  });

  test("a refusal before there is a machine: nothing is recorded, and the message says so", async () => {
    const world = new World();
    world.plane.refuse.create = [
      new RefusedError("403: no", { code: "X", retryable: false, requestId: "req-9" }),
    ];
    await expect(world.create(world.inputs())).rejects.toThrow(
      'machine "worker" was not created: 403: no (request id req-9)',
    );
  });

  test("a refusal that time heals is waited out, with the reason on the terminal", async () => {
    const world = new World();
    const busy = { code: "RATE_LIMITED", retryable: true };
    world.plane.refuse.create = [
      new RefusedError("429: too many creates", { ...busy, retryAfterMs: 7_000 }),
      new RefusedError("429: too many creates", busy),
    ];
    await world.create(world.inputs());
    expect(world.lines.slice(0, 2)).toEqual([
      "429: too many creates; trying again in 7 s",
      "429: too many creates; trying again in 2 s",
    ]);
  });

  test("a control plane that is not there is not waited for", async () => {
    const world = new World();
    world.plane.refuse.create = [
      new RefusedError("nobody answers", { code: "connection_refused", retryable: true }),
    ];
    await expect(world.create(world.inputs())).rejects.toThrow("was not created: nobody answers");
  });

  test("a machine that was made and cannot be looked at is recorded", async () => {
    const world = new World();
    world.plane.refuse.get = [new RefusedError("500: broken", { code: "X", retryable: false })];
    const failure = await initFailure(world.create(world.inputs()));
    expect(failure.id).toBe("dm-1");
    expect(failure.reasons[0]).toBe('machine "worker" (dm-1): 500: broken');
  });

  test("streams that drop after each event cost nothing but looks", async () => {
    const world = new World();
    world.plane.dropStreams = true;
    const { outs } = await world.create(world.inputs({ desiredState: "sleeping" }));
    expect(outs.phase).toBe("sleeping");
    expect(world.plane.calls.length).toBeLessThan(30);
  });

  test("a machine destroyed by somebody else on its way is not waited for", async () => {
    const world = new World();
    world.clock.after(500, () => world.plane.destroyBehindTheBack("dm-1"));
    const failure = await initFailure(world.create(world.inputs()));
    expect(failure.reasons[0]).toContain("was destroyed by somebody else");
  });
});

describe("replacement", () => {
  test("with unchanged inputs gives a new machine while the old one still runs", async () => {
    const world = new World();
    const old = await world.create(world.inputs());
    world.restart();
    await world.sighted(old.id, old.outs);
    const fresh = await world.create(world.inputs());
    expect(fresh.id).not.toBe(old.id);
    await world.remove(old.id, old.outs);
    expect(world.plane.living.map((machine) => machine.id)).toEqual([fresh.id]);
  });

  test("that was interrupted is found again, and does not take the old machine", async () => {
    const world = new World();
    const old = await world.create(world.inputs());
    world.restart();
    await world.sighted(old.id, old.outs);
    world.plane.loseCreateAnswer = true;
    await expect(world.create(world.inputs())).rejects.toThrow();
    world.restart();
    world.journal.entries.clear();
    await world.sighted(old.id, old.outs);
    const fresh = await world.create(world.inputs());
    expect(world.plane.living.map((machine) => machine.id)).toEqual([old.id, fresh.id]);
  });

  test("that was forced by --replace gives a new machine, since the program noted the old one", async () => {
    const world = new World();
    const old = await world.create(world.inputs());
    await world.sighted(old.id, old.outs);
    world.restart();
    const fresh = await world.create(world.inputs());
    expect(fresh.id).not.toBe(old.id);
  });

  test("that was forced by --replace on a computer that knows nothing keeps the machine and says so", async () => {
    const world = new World();
    const old = await world.create(world.inputs());
    world.restart();
    world.journal.entries.clear();
    const taken = await world.create(world.inputs());
    expect(taken.id).toBe(old.id);
    await world.remove(old.id, old.outs);
    expect(world.plane.living.map((machine) => machine.id)).toEqual([old.id]);
    expect(world.warnings[0]).toContain("pulumi up --refresh --replace");
    world.restart();
    await world.remove(taken.id, taken.outs);
    expect(world.plane.living).toEqual([]);
  });
});

describe("destroying a stack after an interrupted create", () => {
  test("destroys the machine that no state knows", async () => {
    const world = new World();
    world.plane.loseCreateAnswer = true;
    await expect(world.create(world.inputs())).rejects.toThrow();
    world.restart();
    await world.removeInterrupted();
    expect(world.plane.living).toEqual([]);
    expect(world.warnings).toEqual([
      'machine "worker" (dm-1), left by a create that was interrupted, is destroyed with the stack',
    ]);
    await world.removeInterrupted();
    expect(world.warnings).toHaveLength(1);
  });

  test("leaves alone what the state has known, such as a machine that is retained", async () => {
    const world = new World();
    const { id, outs } = await world.create(world.inputs());
    await world.sighted(id, outs);
    await world.removeInterrupted();
    expect(world.plane.living).toHaveLength(1);
  });
});
