import type { MachineView } from "../../provider/src/controlplane/port";
import { called, lookOf, nextStep, seen, type Course, type Goal } from "../../provider/src/convergence";

const machine = (view: Partial<MachineView> = {}): MachineView => ({
  id: "dm-1",
  phase: "running",
  desiredState: "running",
  reason: "",
  retryable: false,
  revision: "7",
  vcpu: 1,
  memoryMiB: 2048,
  storageGiB: 10,
  autosleepSeconds: 300,
  ...view,
});
const goal = (more: Partial<Goal> = {}): Goal => ({
  state: "running",
  vcpu: 1,
  memoryMiB: 2048,
  storageGiB: 10,
  asleepIsFine: false,
  mustRunFirst: false,
  ...more,
});
const course = (more: Partial<Course> = {}): Course => ({
  retriesLeft: 3,
  retriesUsed: 0,
  mayRepair: false,
  hasRun: false,
  ...more,
});
const asleep = { phase: "sleeping", desiredState: "sleeping" };
const failed = { phase: "failed", retryable: true };

const short = (view: MachineView, to: Goal, so: Course): string => {
  const step = nextStep(view, to, so);
  if (step.step === "call") return `${step.call.do}${step.spends === "nothing" ? "" : ` (${step.spends})`}`;
  return step.step === "fail" ? `fail: ${step.because}` : step.step;
};

describe("nextStep", () => {
  test.each<[string, Partial<MachineView>, Partial<Goal>, Partial<Course>, string]>([
    ["running as asked", {}, {}, {}, "finish"],
    ["on its way", { phase: "starting" }, {}, {}, "wait"],
    ["a phase of a later API", { phase: "hibernating" }, {}, {}, "wait"],
    ["asleep, asked to run", asleep, {}, {}, "wake"],
    ["asleep by itself, not asked to wake", asleep, { asleepIsFine: true }, {}, "finish"],
    ["asleep by itself after it ran", asleep, {}, { hasRun: true }, "finish"],
    ["asleep with autosleep off", { ...asleep, autosleepSeconds: 0 }, { asleepIsFine: true }, {}, "wake"],
    ["running, and about to sleep by somebody's wish", { desiredState: "sleeping" }, {}, {}, "wake"],
    ["asleep, and about to wake", { phase: "sleeping" }, {}, {}, "wait"],
    [
      "asleep by a limit of its lifetime",
      { ...asleep, autosleepSeconds: 0 },
      { asleepIsFine: true, lifetime: { timeout: "8h" } },
      {},
      "finish",
    ],
    [
      "asleep, with a lifetime that destroys",
      { ...asleep, autosleepSeconds: 0 },
      { asleepIsFine: true, lifetime: { timeout: "8h", then: "destroy" } },
      {},
      "wake",
    ],
    ["running, anything will do", {}, { state: "any" }, {}, "finish"],
    ["asleep, anything will do", asleep, { state: "any" }, {}, "finish"],
    ["on its way to sleep, anything will do", { ...asleep, phase: "stopping" }, { state: "any" }, {}, "wait"],
    [
      "new, anything will do once it has run",
      { phase: "starting" },
      { state: "any", mustRunFirst: true },
      {},
      "wait",
    ],
    ["too small, anything will do", asleep, { state: "any", memoryMiB: 4096 }, {}, "resize"],
    [
      "sizes that the source decides",
      { vcpu: 4, storageGiB: 99 },
      { vcpu: undefined, storageGiB: undefined },
      {},
      "finish",
    ],
    ["smaller than asked for", { vcpu: 0.5 }, {}, {}, "resize"],
    ["larger disk than asked for", { storageGiB: 20 }, {}, {}, "fail: disk_too_large"],
    ["another autosleep", {}, { autosleep: "1h", autosleepSeconds: 3600 }, {}, "resize"],
    ["the autosleep asked for", {}, { autosleep: "5m", autosleepSeconds: 300 }, {}, "finish"],
    ["resized while asleep", { ...asleep, vcpu: 2 }, { asleepIsFine: true }, {}, "resize"],
    ["running, asked to sleep", {}, { state: "sleeping" }, {}, "sleep"],
    ["starting, asked to sleep: not allowed yet", { phase: "starting" }, { state: "sleeping" }, {}, "wait"],
    ["stopping, asked to sleep", { ...asleep, phase: "stopping" }, { state: "sleeping" }, {}, "wait"],
    ["asleep as asked", asleep, { state: "sleeping" }, {}, "finish"],
    [
      "new, on its way, to be asleep",
      { phase: "accepted" },
      { state: "sleeping", mustRunFirst: true },
      {},
      "wait",
    ],
    ["new, running, to be asleep", {}, { state: "sleeping", mustRunFirst: true }, { hasRun: true }, "sleep"],
    ["failed, retryable", failed, {}, {}, "wake (retry)"],
    ["failed, budget spent", failed, {}, { retriesLeft: 0 }, "fail: failed"],
    ["failed, not retryable", { phase: "failed" }, {}, {}, "fail: failed"],
    ["failed before we came", { phase: "failed" }, {}, { mayRepair: true }, "wake (repair)"],
    ["failed before we came, other size", { phase: "failed", vcpu: 2 }, {}, { mayRepair: true }, "resize"],
    ["failed on the way to sleep", failed, { state: "sleeping" }, {}, "sleep (retry)"],
    ["new, failed, to be asleep", failed, { state: "sleeping", mustRunFirst: true }, {}, "wake (retry)"],
    ["destroyed", { phase: "destroyed" }, {}, {}, "fail: gone"],
    ["being destroyed", { phase: "destroying" }, {}, {}, "fail: gone"],
  ])("%s", (_name, view, to, so, expected) => {
    expect(short(machine(view), goal(to), course(so))).toBe(expected);
  });

  test.each<[string, Partial<MachineView>, Partial<Goal>]>([
    ["wake", asleep, {}],
    ["sleep", {}, { state: "sleeping" }],
    ["resize", { vcpu: 2 }, {}],
    ["wake of a failed one", failed, {}],
  ])("does not repeat a call on the same look: %s", (_name, view, to) => {
    const step = nextStep(machine(view), goal(to), course());
    if (step.step !== "call") throw new Error("expected a call");
    const after = called(course(), step, machine(view));
    expect(nextStep(machine(view), goal(to), after)).toEqual({ step: "wait" });
    expect(after.last?.on).toBe(lookOf(machine(view)));
  });

  test("pauses longer after each failure, up to a limit", () => {
    const pauses = [0, 1, 2, 3, 9].map((retriesUsed) => {
      const step = nextStep(machine(failed), goal(), course({ retriesUsed }));
      return step.step === "call" ? step.afterMs : -1;
    });
    expect(pauses).toEqual([500, 1_000, 2_000, 4_000, 30_000]);
  });

  test("every phase and wish leads somewhere within a few steps, whatever the service answers", () => {
    const phases = [
      "accepted",
      "placement_pending",
      "starting",
      "running",
      "stopping",
      "sleeping",
      "failed",
      "x",
    ];
    for (const phase of phases) {
      for (const state of ["running", "sleeping"] as const) {
        let so = course();
        const view = machine({ phase, retryable: true });
        for (let calls = 0; ; calls += 1) {
          so = seen(so, view);
          const step = nextStep(view, goal({ state }), so);
          if (step.step !== "call") break;
          expect(calls).toBeLessThan(10);
          so = called(so, step, view);
        }
      }
    }
  });
});
