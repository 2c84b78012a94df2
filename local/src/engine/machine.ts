/** The state machine: pure. What a call or an observation makes of a record, and what has to be done next. */
import { can, type DesiredState, type Phase } from "@pulumi-machines/sdk/dedalus/rules";
import { type MachineChange, Refusal } from "./control-plane";
import { isLegalMove } from "./moves";
import type { MachineRecord } from "./record";

/** What has to be done about a machine in its present state. */
export type Step = "place" | "start" | "stop" | "destroy" | "rest";

/** A fault of ours: the engine asked for a move that the table does not have. */
export class IllegalMoveError extends Error {
  override readonly name = "IllegalMoveError";
}

export function nextStep(machine: MachineRecord): Step {
  switch (machine.phase) {
    case "accepted":
    case "placement_pending":
      return "place";
    case "starting":
      return "start";
    case "running":
      return machine.desiredState === "sleeping" ? "stop" : "rest";
    case "stopping":
      return "stop";
    case "sleeping":
      return machine.desiredState === "running" ? "place" : "rest";
    case "destroying":
      return "destroy";
    case "failed":
    case "destroyed":
      return "rest";
    default:
      return machine.phase satisfies never;
  }
}

export interface Observation {
  phase: Phase;
  reason: string;
  lastError?: string | null;
  retryable?: boolean;
}

/** The next revision of a machine: one move of the table, with its reason. @throws IllegalMoveError */
export function move(machine: MachineRecord, to: Observation, at: string): MachineRecord {
  if (!isLegalMove(machine.phase, to.phase)) {
    throw new IllegalMoveError(`no legal move from ${machine.phase} to ${to.phase} (machine ${machine.id})`);
  }
  return {
    ...machine,
    phase: to.phase,
    reason: to.reason,
    lastError: to.lastError ?? null,
    retryable: to.retryable ?? false,
    revision: machine.revision + 1,
    lastTransitionAt: to.phase === machine.phase ? machine.lastTransitionAt : at,
    lastProgressAt: at,
    ...(to.phase === "running" ? { lastActivityAt: at } : {}),
  };
}

/** Where a rested machine goes when a desired state is stated: undefined when it is there, or on its way. */
const firstPhase = {
  running: { sleeping: "placement_pending", failed: "placement_pending" },
  sleeping: { running: "stopping", failed: "stopping" },
  destroyed: {
    accepted: "destroying",
    placement_pending: "destroying",
    starting: "destroying",
    running: "destroying",
    stopping: "destroying",
    sleeping: "destroying",
    failed: "destroying",
  },
} as const satisfies Record<DesiredState, Partial<Record<Phase, Phase>>>;

const action = { running: "wake", sleeping: "sleep", destroyed: "delete" } as const;

/** What a call that states a desired state makes of a machine; the same record when that changes nothing. */
export function desire(
  machine: MachineRecord,
  desired: DesiredState,
  reason: string,
  at: string,
): MachineRecord {
  if (!can(action[desired], machine.phase)) throw invalidState(machine, desired);
  const targets: Partial<Record<Phase, Phase>> = firstPhase[desired];
  const to = targets[machine.phase];
  if (to === undefined && machine.desiredState === desired) return machine;
  const next = move(machine, { phase: to ?? machine.phase, reason: to ? reason : machine.reason }, at);
  return {
    ...next,
    desiredState: desired,
    ...(desired === "running" ? { lastWakeAt: at, lastActivityAt: at } : {}),
  };
}

/** What PATCH makes of a machine; the same record when nothing differs. @throws Refusal */
export function change(machine: MachineRecord, wanted: MachineChange, at: string): MachineRecord {
  if (!can("update", machine.phase)) throw invalidState(machine, machine.desiredState);
  if (wanted.storageGiB !== undefined && wanted.storageGiB < machine.storageGiB) {
    throw new Refusal(
      "storage_shrink",
      `storage never shrinks: the machine has ${String(machine.storageGiB)} GiB, asked for ${String(wanted.storageGiB)}`,
    );
  }
  const same = (Object.keys(wanted) as (keyof MachineChange)[]).every(
    (name) => wanted[name] === undefined || wanted[name] === machine[name],
  );
  if (same) return machine;
  const { phase, reason, lastError, retryable } = machine;
  const next = move(machine, { phase, reason, lastError, retryable }, at);
  return {
    ...next,
    vcpu: wanted.vcpu ?? machine.vcpu,
    memoryMiB: wanted.memoryMiB ?? machine.memoryMiB,
    storageGiB: wanted.storageGiB ?? machine.storageGiB,
    autosleepSeconds: wanted.autosleepSeconds ?? machine.autosleepSeconds,
  };
}

export const invalidState = (machine: MachineRecord, target: DesiredState): Refusal =>
  new Refusal("invalid_state", `requested lifecycle transition is invalid: the machine is ${machine.phase}`, {
    details: {
      current_desired_state: machine.desiredState,
      current_observed_state: machine.phase,
      expected_observed_state: target === "sleeping" ? "running" : "any but destroying and destroyed",
      target_desired_state: target,
    },
  });
