/** The clock of a machine's lease: when it starts, when it stops, and what sets it anew. Pure. */
import { can, type Phase } from "@pulumi-machines/sdk/dedalus/rules";
import { type LeaseChange, Refusal } from "./control-plane";
import { type Lease, type MachineRecord, noLease } from "./record";

/** A hundred years: more than any machine lives, and a date that every system can write. */
export const maxLimitMs = 100 * 365 * 86_400_000;

const after = (at: string, ms: number): string => new Date(Date.parse(at) + ms).toISOString();

/**
 * The lease of a machine that enters a phase. Its clock runs from the moment that the machine begins to run; processes
 * that end and are started again do not set it back.
 */
export function leaseIn(lease: Lease, phase: Phase, at: string): Lease {
  if (phase === "starting") return lease;
  if (phase === "running") {
    if (lease.timeoutAt !== null || lease.timeoutMs === null) return lease;
    return { ...lease, timeoutAt: after(at, lease.timeoutMs) };
  }
  return lease.timeoutAt === null ? lease : { ...lease, timeoutAt: null };
}

/** The lease that a machine is made with. @throws Refusal invalid_argument */
export function leaseFrom(given: Partial<Omit<Lease, "timeoutAt">>): Lease {
  const lease = { ...noLease, ...given };
  for (const name of ["timeoutMs", "inactivityTimeoutMs", "autoDeleteAfterMs"] as const) {
    if (lease[name] !== null) checkLimit(name, lease[name]);
  }
  if (lease.ephemeral && lease.autoResume) {
    throw new Refusal(
      "invalid_argument",
      "an ephemeral machine never sleeps, so nothing can resume it: choose one",
    );
  }
  return lease.ephemeral ? { ...lease, timeoutAction: "destroy" } : lease;
}

/** What a new lease makes of a machine; the same record when nothing differs. @throws Refusal */
export function lend(machine: MachineRecord, wanted: LeaseChange, at: string): MachineRecord {
  if (wanted.timeoutMs !== null) checkLimit("timeoutMs", wanted.timeoutMs);
  if (!can("update", machine.phase)) {
    throw new Refusal("invalid_state", `the machine is ${machine.phase}: its timeout means nothing any more`);
  }
  const { lease } = machine;
  const timeoutAction = wanted.timeoutAction ?? lease.timeoutAction;
  if (lease.ephemeral && timeoutAction !== "destroy") {
    throw new Refusal(
      "invalid_argument",
      "the machine is ephemeral: its limits destroy it, they cannot do else",
    );
  }
  const runs = machine.phase === "running" || lease.timeoutAt !== null;
  const timeoutAt = runs && wanted.timeoutMs !== null ? after(at, wanted.timeoutMs) : null;
  const same =
    lease.timeoutMs === wanted.timeoutMs &&
    lease.timeoutAction === timeoutAction &&
    lease.timeoutAt === timeoutAt;
  if (same) return machine;
  return {
    ...machine,
    lease: { ...lease, timeoutMs: wanted.timeoutMs, timeoutAction, timeoutAt },
    revision: machine.revision + 1,
    lastProgressAt: at,
  };
}

function checkLimit(name: string, ms: number): void {
  if (Number.isInteger(ms) && ms > 0 && ms <= maxLimitMs) return;
  throw new Refusal(
    "invalid_argument",
    `${name} is ${String(ms)}: it takes whole milliseconds from 1 to ${String(maxLimitMs)} (100 years)`,
  );
}
