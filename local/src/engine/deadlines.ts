/** When a machine ends its run by itself, and what then. Pure; every time in milliseconds since the epoch. */
import type { DesiredState } from "@pulumi-machines/sdk/dedalus/rules";
import type { MachineRecord } from "./record";

/** A machine's `reason` while, and after, it is ended for one of them. */
export const deadlineReasons = ["timeout", "inactivity_timeout", "autosleep", "auto_delete"] as const;
export type DeadlineReason = (typeof deadlineReasons)[number];

export interface Deadline {
  atMs: number;
  reason: DeadlineReason;
  desired: Exclude<DesiredState, "running">;
}

/**
 * The earliest deadline of a machine as it is; undefined when it has none. A busy machine, one that runs a command, is
 * never inactive; its lease ends all the same.
 */
export function nextDeadline(machine: MachineRecord, busy: boolean): Deadline | undefined {
  const { lease, phase } = machine;
  if (phase === "sleeping" && machine.desiredState === "sleeping" && lease.autoDeleteAfterMs !== null) {
    const atMs = Date.parse(machine.lastTransitionAt) + lease.autoDeleteAfterMs;
    return { atMs, reason: "auto_delete", desired: "destroyed" };
  }
  if (phase !== "running" || machine.desiredState !== "running") return undefined;
  const atTimeout = lease.timeoutAction === "hibernate" && !lease.ephemeral ? "sleeping" : "destroyed";
  const deadlines: Deadline[] = [];
  if (lease.timeoutAt !== null) {
    deadlines.push({ atMs: Date.parse(lease.timeoutAt), reason: "timeout", desired: atTimeout });
  }
  if (!busy) {
    const activeMs = Date.parse(machine.lastActivityAt);
    if (lease.inactivityTimeoutMs !== null) {
      const atMs = activeMs + lease.inactivityTimeoutMs;
      deadlines.push({ atMs, reason: "inactivity_timeout", desired: atTimeout });
    }
    if (machine.autosleepSeconds > 0) {
      const atMs = activeMs + machine.autosleepSeconds * 1000;
      deadlines.push({ atMs, reason: "autosleep", desired: "sleeping" });
    }
  }
  // The first of those that fall together: a lease counts for more than idleness.
  return deadlines.reduce<Deadline | undefined>(
    (first, next) => (first && first.atMs <= next.atMs ? first : next),
    undefined,
  );
}
