/**
 * The state rules of a DCS machine: phases, desired states and which call is legal when.
 * Pure; read by the client, the provider and the embedded control plane. Source: LifecycleStatus and the
 * 409 INVALID_STATE answers of the DCS contract; what the contract leaves open is marked "ours".
 */
import type { Open } from "../open";

export const phases = [
  "accepted",
  "placement_pending",
  "starting",
  "running",
  "stopping",
  "sleeping",
  "destroying",
  "destroyed",
  "failed",
] as const;
export type Phase = (typeof phases)[number];

export const desiredStates = ["running", "sleeping", "destroyed"] as const;
export type DesiredState = (typeof desiredStates)[number];

export const executionStatuses = [
  "wake_in_progress",
  "queued",
  "running",
  "succeeded",
  "failed",
  "cancelled",
  "expired",
] as const;
export type ExecutionStatus = (typeof executionStatuses)[number];

export type { Open };

export const isPhase = (value: string): value is Phase => (phases as readonly string[]).includes(value);

export const machineActions = ["update", "sleep", "wake", "delete", "execute"] as const;
export type MachineAction = (typeof machineActions)[number];

/**
 * Which call is legal in which phase. Repeating a call that already holds is legal (DCS docs call wake
 * idempotent), and so is stating a desire again after a failure (ours: it is how a failure is retried).
 */
export const allowedIn = {
  update: ["accepted", "placement_pending", "starting", "running", "stopping", "sleeping", "failed"],
  sleep: ["running", "stopping", "sleeping", "failed"],
  wake: ["accepted", "placement_pending", "starting", "running", "stopping", "sleeping", "failed"],
  delete: phases,
  execute: ["accepted", "placement_pending", "starting", "running", "stopping", "sleeping"],
} as const satisfies Record<MachineAction, readonly Phase[]>;

export const can = (action: MachineAction, phase: Phase): boolean =>
  (allowedIn[action] as readonly Phase[]).includes(phase);

/** True when the observed phase is the desired state: running, sleeping or destroyed. */
export const holds = (phase: Open<Phase>, desired: Open<DesiredState>): boolean => phase === desired;

/** True when nothing more will happen without a new call: the desired state holds, or the machine failed. */
export const isSettled = (phase: Open<Phase>, desired: Open<DesiredState>): boolean =>
  holds(phase, desired) || phase === "failed" || phase === "destroyed";

const finished: readonly string[] = ["succeeded", "failed", "cancelled", "expired"];

/** True when an execution will not change any more. */
export const isFinished = (status: Open<ExecutionStatus>): boolean => finished.includes(status);
