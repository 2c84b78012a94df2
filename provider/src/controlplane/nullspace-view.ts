/** A machine as Nullspace answers it, in the port's words. Pure. */
import type { NullspaceMachine } from "@pulumi-machines/sdk";
import { formatDuration } from "@pulumi-machines/sdk/duration";
import type { Lifetime, MachineDetails, MachineView } from "./port";
import { splitMetadata } from "./tags";

/** What the service says of a failure, in an answer or in an event. */
export interface FailureWords {
  reason?: string;
  lastError?: string;
  retryable?: boolean;
}

/** A state of this API says both what the machine is doing and where it is to be. */
const phases: Record<string, Pick<MachineView, "phase" | "desiredState">> = {
  creating: { phase: "starting", desiredState: "running" },
  running: { phase: "running", desiredState: "running" },
  paused: { phase: "sleeping", desiredState: "sleeping" },
  error: { phase: "failed", desiredState: "running" },
  destroyed: { phase: "destroyed", desiredState: "destroyed" },
};

/** What a list has to ask for so that it has all machines in these phases. */
export function statesOf(wanted: readonly string[]): string[] {
  const known = Object.keys(phases);
  const states = known.filter((state) => wanted.includes(phases[state]?.phase ?? ""));
  const isAll = wanted.every((phase) => states.some((state) => phases[state]?.phase === phase));
  return states.length > 0 && isAll ? states : known;
}

/** A state of a later API is taken as a phase of its own, and waited for. */
const phaseOf = (status: string): Pick<MachineView, "phase" | "desiredState"> =>
  phases[status] ?? { phase: status, desiredState: "running" };

export function viewOf(machine: NullspaceMachine, failure: FailureWords = {}): MachineView {
  const { vcpus, memoryMb, diskMb } = machine.config;
  const { reason, lastError, retryable } = failure;
  return {
    id: machine.id,
    ...phaseOf(machine.status),
    reason: reason ?? "",
    ...(lastError === undefined ? {} : { lastError }),
    retryable: retryable ?? false,
    revision: "",
    vcpu: vcpus ?? 0,
    memoryMiB: memoryMb ?? 0,
    ...(diskMb === undefined ? {} : { storageGiB: Math.ceil(diskMb / 1024) }),
    ...autosleepOf(machine),
    ...(machine.createdAt === undefined ? {} : { createdAt: machine.createdAt }),
  };
}

/** An inactivity that hibernates is an autosleep; absent where the short answer of a resume or a fork says nothing. */
function autosleepOf({ template, inactivityTimeoutMs, timeoutAction }: NullspaceMachine): {
  autosleepSeconds?: number;
} {
  if (template === undefined) return {};
  if (inactivityTimeoutMs === undefined || timeoutAction === "destroy") return { autosleepSeconds: 0 };
  return { autosleepSeconds: Math.ceil(inactivityTimeoutMs / 1_000) };
}

export function detailsOf(machine: NullspaceMachine, failure?: FailureWords): MachineDetails {
  const lifetime = lifetimeOf(machine);
  return {
    ...viewOf(machine, failure),
    ...splitMetadata(machine.metadata ?? {}),
    ...(machine.template === undefined ? {} : { template: machine.template }),
    ...(machine.cwd === undefined ? {} : { cwd: machine.cwd }),
    ...(lifetime === undefined ? {} : { lifetime }),
    ...(machine.ephemeral === undefined ? {} : { ephemeral: machine.ephemeral }),
    ...(machine.timeoutAt === undefined ? {} : { expiresAt: machine.timeoutAt }),
    ...(machine.lastActiveAt === undefined ? {} : { lastActiveAt: machine.lastActiveAt }),
  };
}

function lifetimeOf(machine: NullspaceMachine): Lifetime | undefined {
  const { timeoutMs, inactivityTimeoutMs, autoDeleteAfterMs, timeoutAction } = machine;
  const lifetime: Lifetime = {
    ...(timeoutMs === undefined ? {} : { timeout: spanText(timeoutMs) }),
    ...(inactivityTimeoutMs === undefined || timeoutAction !== "destroy"
      ? {}
      : { inactivity: spanText(inactivityTimeoutMs) }),
    ...(autoDeleteAfterMs === undefined ? {} : { deleteAfterSleeping: spanText(autoDeleteAfterMs) }),
  };
  if (Object.keys(lifetime).length === 0) return undefined;
  return { ...lifetime, then: timeoutAction === "destroy" ? "destroy" : "sleep" };
}

/** Rounded up to whole seconds. */
const spanText = (ms: number): string => formatDuration(Math.max(1, Math.ceil(ms / 1_000)));
