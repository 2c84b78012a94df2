/**
 * What to do next so that a machine becomes what was asked for. Pure: `converge.ts` looks, asks here, and acts.
 */
import { can, isPhase, type MachineAction } from "@pulumi-machines/sdk/dedalus/rules";
import type { MachineChange, MachineView } from "./controlplane/port";
import { sleepsByItself } from "./machine/falls-asleep";

export interface Goal {
  /** "any": others wake it and put it to sleep; either will do. */
  state: "running" | "sleeping" | "any";
  /** Undefined leaves what the machine has. */
  vcpu?: number | undefined;
  memoryMiB?: number | undefined;
  storageGiB?: number | undefined;
  /** As the user wrote it; undefined leaves what the machine has. */
  autosleep?: string;
  /** The same in seconds; 0 is never. */
  autosleepSeconds?: number;
  /** As the program gave it: a limit may put the machine to sleep. */
  lifetime?: unknown;
  /** True when a machine that fell asleep by its own rules already is what was asked for. */
  asleepIsFine: boolean;
  /** True for a new machine: it has to have run once before it is put to sleep. */
  mustRunFirst: boolean;
}

/** What this operation has done and seen so far. */
export interface Course {
  /** Retryable failures that may still be answered by stating the desire again. */
  retriesLeft: number;
  retriesUsed: number;
  /** True when a failure that was there before us has still to be answered; that one is not counted. */
  mayRepair: boolean;
  hasRun: boolean;
  /** What was called last, and what the machine looked like then: the same call is not made twice on one look. */
  last?: { call: Call["do"]; on: string };
}

export type Call = { do: "wake" } | { do: "sleep" } | { do: "resize"; change: MachineChange };

export type Step =
  | { step: "finish" }
  | { step: "wait" }
  | { step: "call"; call: Call; afterMs: number; spends: "nothing" | "repair" | "retry" }
  | { step: "fail"; because: "failed" | "gone" | "disk_too_large" };

const firstBackoffMs = 500;
const longestBackoffMs = 30_000;

/** Tells one look at a machine from the next. */
export const lookOf = (view: MachineView): string =>
  JSON.stringify([view.revision, view.phase, view.desiredState, view.lastTransitionAt]);

const allows = (action: MachineAction, view: MachineView): boolean =>
  isPhase(view.phase) && can(action, view.phase);

/** What has to be sent so that the sizes become those of the goal; undefined when they are. */
export function missingChange(view: MachineView, goal: Goal): MachineChange | undefined {
  const change: MachineChange = {};
  for (const size of ["vcpu", "memoryMiB", "storageGiB"] as const) {
    const wanted = goal[size];
    if (wanted !== undefined && view[size] !== undefined && view[size] !== wanted) change[size] = wanted;
  }
  if (
    goal.autosleep !== undefined &&
    view.autosleepSeconds !== undefined &&
    view.autosleepSeconds !== goal.autosleepSeconds
  ) {
    change.autosleep = goal.autosleep;
  }
  return Object.keys(change).length > 0 ? change : undefined;
}

export function nextStep(view: MachineView, goal: Goal, course: Course): Step {
  if (view.phase === "destroyed" || view.phase === "destroying") return { step: "fail", because: "gone" };
  if (goal.storageGiB !== undefined && (view.storageGiB ?? 0) > goal.storageGiB)
    return { step: "fail", because: "disk_too_large" };
  if (view.phase === "failed") return afterFailure(view, goal, course);

  const change = missingChange(view, goal);
  if (change) return once({ do: "resize", change }, "update", view, course);
  if (goal.state === "any" && (course.hasRun || !goal.mustRunFirst)) return towardsRest(view);
  return goal.state === "sleeping" ? towardsSleeping(view, goal, course) : towardsRunning(view, goal, course);
}

/** Wherever it was sent, once it is there. */
const towardsRest = (view: MachineView): Step =>
  view.phase === view.desiredState ? { step: "finish" } : { step: "wait" };

function towardsRunning(view: MachineView, goal: Goal, course: Course): Step {
  const fellAsleep =
    (goal.asleepIsFine || course.hasRun) &&
    sleepsByItself(view, goal.lifetime) &&
    view.desiredState === "sleeping";
  if (view.phase === "running" && (view.desiredState === "running" || fellAsleep)) return { step: "finish" };
  if (fellAsleep && (view.phase === "sleeping" || view.phase === "stopping")) return { step: "finish" };
  if (view.desiredState === "running") return { step: "wait" };
  return once({ do: "wake" }, "wake", view, course);
}

function towardsSleeping(view: MachineView, goal: Goal, course: Course): Step {
  if (goal.mustRunFirst && !course.hasRun) {
    // Not asleep yet is not the same as slept: only a machine that ran has proven that it can.
    const started = view.phase === "running" || view.phase === "sleeping" || view.phase === "stopping";
    if (!started)
      return view.desiredState === "sleeping" ? once({ do: "wake" }, "wake", view, course) : { step: "wait" };
  }
  if (view.desiredState === "sleeping")
    return view.phase === "sleeping" ? { step: "finish" } : { step: "wait" };
  return once({ do: "sleep" }, "sleep", view, course);
}

/** A failure is answered by the call that asks for the same again; a size that was changed since goes first. */
function afterFailure(view: MachineView, goal: Goal, course: Course): Step {
  // Still the failure that was answered already: the service has not taken the call up yet.
  if (course.last && course.last.call !== "resize" && course.last.on === lookOf(view))
    return { step: "wait" };
  const spends = course.mayRepair ? "repair" : "retry";
  if (spends === "retry" && (!view.retryable || course.retriesLeft <= 0)) {
    return { step: "fail", because: "failed" };
  }
  const change = missingChange(view, goal);
  if (change && course.last?.call !== "resize") {
    return { step: "call", call: { do: "resize", change }, afterMs: 0, spends: "nothing" };
  }
  const call: Call = goal.state === "sleeping" && !goal.mustRunFirst ? { do: "sleep" } : { do: "wake" };
  const backoff = Math.min(firstBackoffMs * 2 ** course.retriesUsed, longestBackoffMs);
  return { step: "call", call, afterMs: spends === "retry" ? backoff : 0, spends };
}

function once(call: Call, action: MachineAction, view: MachineView, course: Course): Step {
  if (!allows(action, view)) return { step: "wait" };
  if (course.last?.call === call.do && course.last.on === lookOf(view)) return { step: "wait" };
  return { step: "call", call, afterMs: 0, spends: "nothing" };
}

/** The course after a look at the machine. */
export const seen = (course: Course, view: MachineView): Course =>
  !course.hasRun && view.phase === "running" && view.desiredState === "running"
    ? { ...course, hasRun: true }
    : course;

/** The course after a call was made on a look at the machine. */
export function called(course: Course, step: Step & { step: "call" }, view: MachineView): Course {
  const next: Course = { ...course, last: { call: step.call.do, on: lookOf(view) } };
  if (step.spends === "repair") next.mayRepair = false;
  if (step.spends === "retry") {
    next.retriesLeft -= 1;
    next.retriesUsed += 1;
  }
  return next;
}
