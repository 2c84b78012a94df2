/** Leases at work on both stores: what ends a machine by itself, what keeps it, what wakes it. */
import type { ControlPlane, NewMachine } from "../../../local/src/engine/control-plane";
import { DriverError } from "../../../local/src/engine/driver";
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

/** A clock that a test sets; timers still take their own time. */
class Clock {
  ms = Date.parse("2026-01-01T00:00:00Z");
  readonly now = () => new Date(this.ms);
}

const hour = 3_600_000;
const lease = (over: NonNullable<NewMachine["lease"]>): Partial<NewMachine> => ({ lease: over });
const story = async (plane: ControlPlane) =>
  (await allEvents(plane)).map((event) => [event.operation, event.status, event.actorKind, event.reason]);

describe.each(["sqlite", "postgres"] as const)("leases on %s", (store) => {
  const fixture = new Fixture(store);

  test("a machine is destroyed when its time is over, and the log says who and why", async () => {
    const plane = await fixture.open();
    const { id } = await make(plane, lease({ timeoutMs: 30 }));
    await reaches(plane, id, (machine) => machine.phase === "destroyed");
    const events = await allEvents(plane);
    expect(await story(plane)).toEqual([
      ["create", "requested", "user", "created"],
      ["create", "succeeded", "user", null],
      ["timeout_expired", "succeeded", "system", "timeout"],
      ["destroy", "requested", "system", "timeout"],
      ["destroy", "succeeded", "system", "timeout"],
    ]);
    expect(events[2]?.metadata).toEqual({ timeout_action: "destroy", timeout_ms: 30 });
    expect(new Set(events.map((event) => event.machineId))).toEqual(new Set([id]));
  });

  test("or put to sleep, its commands named; a use wakes it with a new lease, where the lease lets it", async () => {
    const clock = new Clock();
    const plane = await fixture.open({ now: clock.now });
    const id = await makeRunning(
      plane,
      lease({ timeoutMs: hour, timeoutAction: "hibernate", autoResume: true }),
    );
    await plane.executions.create(id, { command: ["sleep", "9"], env: {} }, request(), render);
    const signal = AbortSignal.timeout(20_000);
    const { pid } = await plane.processes.start(
      id,
      { command: ["make", "all"], display: "make all" },
      signal,
    );
    clock.ms += hour;
    await plane.machines.setLease(id, { timeoutMs: 1 });
    clock.ms += 1;
    const asleep = await reaches(plane, id, (machine) => machine.phase === "sleeping");
    expect(asleep).toMatchObject({ reason: "timeout", lease: { timeoutMs: 1, timeoutAt: null } });
    const slept = (await allEvents(plane)).at(-1);
    expect(said(slept ? [slept] : [])).toEqual(["hibernate succeeded"]);
    expect(slept?.metadata["processes_not_kept"]).toContainEqual({ pid, command: "make all" });
    await plane.machines.setLease(id, { timeoutMs: hour });
    const woken = await Promise.all([
      plane.machines.use(id, "command", never),
      plane.machines.use(id, "file", never),
    ]);
    for (const machine of woken) {
      expect(machine).toMatchObject({
        phase: "running",
        lease: { timeoutAt: new Date(clock.ms + hour).toISOString() },
      });
    }
    expect((await story(plane)).slice(-3)).toEqual([
      ["timeout_updated", "succeeded", "user", null],
      ["resume_from_snapshot", "requested", "system", expect.stringMatching(/^woken by a (command|file)$/)],
      ["resume_from_snapshot", "succeeded", "system", null],
    ]);
  });

  test("idleness ends a machine, a command keeps it, and its end starts the clock anew", async () => {
    const plane = await fixture.open();
    const busy = await makeRunning(plane, lease({ inactivityTimeoutMs: 60 }));
    const signal = AbortSignal.timeout(20_000);
    const process = await plane.processes.start(busy, { command: ["sleep", "9"] }, signal);
    const idle = await makeRunning(plane, lease({ inactivityTimeoutMs: 60 }));
    await reaches(plane, idle, (machine) => machine.phase === "destroyed");
    expect((await plane.machines.get(busy)).phase).toBe("running");
    await plane.processes.kill(busy, process.pid);
    await reaches(plane, busy, (machine) => machine.phase === "destroyed");
    const ended = (await allEvents(plane)).filter((event) => event.operation === "timeout_expired");
    expect(ended.map((event) => [event.machineId, event.reason, event.metadata])).toEqual(
      [idle, busy].map((id) => [
        id,
        "inactivity_timeout",
        { timeout_action: "destroy", inactivity_timeout_ms: 60 },
      ]),
    );
  });

  test("a use is an activity", async () => {
    const clock = new Clock();
    const plane = await fixture.open({ now: clock.now });
    const id = await makeRunning(plane, lease({ inactivityTimeoutMs: hour }));
    clock.ms += hour - 1;
    const { lastActivityAt } = await plane.machines.use(id, "terminal", never);
    expect(Date.parse(lastActivityAt)).toBeLessThan(clock.ms);
    expect((await plane.machines.get(id)).lastActivityAt).toBe(clock.now().toISOString());
  });

  test("one that sleeps too long is destroyed; nothing is said of a timeout", async () => {
    const plane = await fixture.open();
    const id = await makeRunning(plane, lease({ autoDeleteAfterMs: 30 }));
    await plane.machines.state(id, "sleeping");
    await reaches(plane, id, (machine) => machine.phase === "destroyed");
    expect((await story(plane)).slice(-2)).toEqual([
      ["destroy", "requested", "system", "auto_delete"],
      ["destroy", "succeeded", "system", "auto_delete"],
    ]);
    expect(await plane.snapshots.list({})).toEqual([]);
  });

  test.each([
    ["destroy", "alive"],
    ["destroy", "dead"],
    ["hibernate", "alive"],
    ["hibernate", "dead"],
  ] as const)(
    "what is overdue at a start (%s, its processes %s) is done at once",
    async (action, processes) => {
      const at = await fixture.place();
      const clock = new Clock();
      const driver = new ScriptedDriver();
      const plane = await fixture.open({ at, driver, now: clock.now });
      const id = await makeRunning(plane, lease({ timeoutMs: hour, timeoutAction: action }));
      await plane.close();
      clock.ms += 2 * hour;
      if (processes === "dead") driver.world.of(id).running = false;
      const next = await fixture.open({ at, driver: new ScriptedDriver(driver.world), now: clock.now });
      const phase = action === "destroy" ? "destroyed" : "sleeping";
      await reaches(next, id, (machine) => machine.phase === phase);
      expect((await story(next)).slice(2)).toEqual([
        ["timeout_expired", "succeeded", "system", "timeout"],
        [action, "requested", "system", "timeout"],
        [action, "succeeded", "system", "timeout"],
      ]);
      expect(driver.calls.filter((call) => call.startsWith("start"))).toHaveLength(1);
    },
  );

  test("a machine that is started again from its disk has no more time than before", async () => {
    const at = await fixture.place();
    const clock = new Clock();
    const driver = new ScriptedDriver();
    const plane = await fixture.open({ at, driver, now: clock.now });
    const id = await makeRunning(plane, lease({ timeoutMs: hour }));
    const { timeoutAt } = (await plane.machines.get(id)).lease;
    expect(timeoutAt).toBe(new Date(clock.ms + hour).toISOString());
    await plane.close();
    clock.ms += hour / 2;
    driver.world.of(id).running = false;
    const next = await fixture.open({ at, driver: new ScriptedDriver(driver.world), now: clock.now });
    const running = await next.machines.settled(id, "running", never);
    expect(running.lease.timeoutAt).toBe(timeoutAt);
    expect((await story(next)).slice(2)).toEqual([
      ["reconcile", "requested", "reconcile", "its processes were gone when the control plane started again"],
      ["reconcile", "succeeded", "reconcile", null],
    ]);
  });

  test("setting a lease restarts its clock and is in the log, but not what changes nothing", async () => {
    const clock = new Clock();
    const plane = await fixture.open({ now: clock.now });
    const id = await makeRunning(plane, { traits: { metadata: { run: "a" } } });
    const set = await plane.machines.setLease(id, { timeoutMs: hour, timeoutAction: "hibernate" });
    expect(set.lease).toMatchObject({
      timeoutAt: new Date(clock.ms + hour).toISOString(),
      timeoutAction: "hibernate",
    });
    await plane.machines.setLease(id, { timeoutMs: hour });
    clock.ms += 1000;
    await plane.machines.setLease(id, { timeoutMs: hour });
    const events = (await allEvents(plane)).slice(2);
    expect(said(events)).toEqual(["timeout_updated succeeded", "timeout_updated succeeded"]);
    expect(events[0]?.metadata).toEqual({ run: "a", timeout_ms: hour, timeout_action: "hibernate" });
    await bring(plane, id, "destroyed");
    await expect(plane.machines.setLease(id, { timeoutMs: 1 })).rejects.toMatchObject({
      code: "invalid_state",
    });
  });
});

describe("a use", () => {
  const fixture = new Fixture("sqlite");

  test("waits for a start that is under way", async () => {
    const driver = new ScriptedDriver();
    const go = Promise.withResolvers<void>();
    driver.before = (operation) => (operation === "start" ? go.promise : undefined);
    const plane = await fixture.open({ driver });
    const { id } = await make(plane);
    const used = plane.machines.use(id, "command", never);
    go.resolve();
    expect(await used).toMatchObject({ id, phase: "running" });
  });

  test("waits for a sleep that is under way, and wakes the machine then", async () => {
    const driver = new ScriptedDriver();
    const go = Promise.withResolvers<void>();
    driver.before = (operation) => (operation === "stop" ? go.promise : undefined);
    const plane = await fixture.open({ driver });
    const id = await makeRunning(plane, lease({ autoResume: true }));
    await plane.machines.state(id, "sleeping");
    const slept = plane.machines.settled(id, "sleeping", never);
    const used = plane.machines.use(id, "file", never);
    go.resolve();
    expect(await slept).toMatchObject({ phase: "sleeping" });
    expect(await used).toMatchObject({ phase: "running" });
  });

  test("says what keeps a machine from running, and what to do", async () => {
    const driver = new ScriptedDriver();
    const plane = await fixture.open({ driver });
    const id = await makeRunning(plane);
    await bring(plane, id, "sleeping");
    const used = (machine: string) => plane.machines.use(machine, "command", never);
    await expect(used(id)).rejects.toMatchObject({
      code: "machine_not_running",
      message: "the machine does not run: it sleeps, and its lease does not let a use wake it; wake it first",
    });
    driver.before = (operation) => {
      if (operation === "start") throw new DriverError("start_failed", "no such file", true);
    };
    await plane.machines.state(id, "running");
    await expect(plane.machines.settled(id, "running", never)).rejects.toMatchObject({
      code: "transition_failed",
      message: "the machine did not come to run: start_failed: no such file",
      options: { retryable: true, details: { machine_id: id, reason: "start_failed" } },
    });
    await expect(used(id)).rejects.toMatchObject({ code: "machine_not_running" });
    await expect(used(id)).rejects.toThrow("it failed (start_failed): no such file; wake it to try again");
    await bring(plane, id, "destroyed");
    await expect(used(id)).rejects.toThrow("it is destroyed; make another one");
    await expect(used("none")).rejects.toMatchObject({ code: "machine_not_found" });
  });

  test("ends with its signal, and the machine goes on", async () => {
    const driver = new ScriptedDriver();
    const go = Promise.withResolvers<void>();
    driver.before = (operation) => (operation === "start" ? go.promise : undefined);
    const plane = await fixture.open({ driver });
    const { id } = await make(plane);
    const gone = new AbortController();
    const used = plane.machines.use(id, "command", gone.signal);
    gone.abort(new Error("the client went away"));
    await expect(used).rejects.toThrow("the client went away");
    go.resolve();
    await plane.machines.settled(id, "running", never);
    const settled = plane.machines.settled(id, "sleeping", AbortSignal.abort(new Error("late")));
    await expect(settled).rejects.toThrow("late");
  });

  test("a wait ends when the machine is told otherwise", async () => {
    const driver = new ScriptedDriver();
    const go = Promise.withResolvers<void>();
    driver.before = (operation) => (operation === "stop" ? go.promise : undefined);
    const plane = await fixture.open({ driver });
    const id = await makeRunning(plane);
    await plane.machines.state(id, "sleeping");
    const slept = plane.machines.settled(id, "sleeping", never);
    await plane.machines.state(id, "running");
    await expect(slept).rejects.toThrow("did not go to sleep: it was told to be running instead");
    go.resolve();
    await plane.machines.settled(id, "running", never);
    expect(said(await allEvents(plane)).slice(2)).toEqual([
      "hibernate requested",
      "hibernate failed",
      "resume_from_snapshot requested",
      "resume_from_snapshot succeeded",
    ]);
    expect(await plane.snapshots.list({})).toEqual([]);
  });
});

describe("the network policy and the usage of a machine", () => {
  const fixture = new Fixture("sqlite");

  test("a policy is set where the next start can take it up", async () => {
    const driver = new ScriptedDriver();
    const plane = await fixture.open({ driver });
    const id = await makeRunning(plane);
    expect((await plane.machines.setEgress(id, "allow_all")).egress).toBe("allow_all");
    await expect(plane.machines.setEgress(id, "deny_all")).rejects.toThrow("put it to sleep, set the policy");
    await bring(plane, id, "sleeping");
    await plane.machines.setEgress(id, "deny_all");
    await bring(plane, id, "running");
    expect(driver.world.of(id).spec?.network).toBe("none");
    expect((await plane.machines.get(id)).egress).toBe("deny_all");
  });

  test("a machine that does not run uses nothing", async () => {
    const plane = await fixture.open();
    const id = await makeRunning(plane);
    expect(await plane.machines.usage(id)).toMatchObject({ cpuPercent: 1, diskUsedBytes: 5 });
    await bring(plane, id, "sleeping");
    await expect(plane.machines.usage(id)).rejects.toMatchObject({ code: "machine_not_running" });
  });
});
