/** The state machine: pure. What a call or an observation makes of a record, and what has to be done next. */
import { can, type DesiredState, type Phase } from "@pulumi-machines/sdk/dedalus/rules";
import { type MachineChange, Refusal } from "./control-plane";
import { leaseIn } from "./lease";
import { isLegalMove } from "./moves";
import { goals, operationFor } from "./operations";
import type { MachineRecord } from "./record";
import type { ActorKind } from "@pulumi-machines/sdk/nullspace/rules";

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
  const next = {
    ...machine,
    phase: to.phase,
    reason: to.reason,
    lastError: to.lastError ?? null,
    retryable: to.retryable ?? false,
    revision: machine.revision + 1,
    lastProgressAt: at,
    ...(to.phase === "running" ? { lastActivityAt: at } : {}),
  };
  return to.phase === machine.phase ? next : arrived(next, at);
}

/** What a new phase brings with it: its lease's clock, and the end of what was under way. */
function arrived(machine: MachineRecord, at: string): MachineRecord {
  const { phase, operation } = machine;
  const over = phase === "failed" || (operation !== null && goals[operation] === phase);
  return {
    ...machine,
    lastTransitionAt: at,
    lease: leaseIn(machine.lease, phase, at),
    firstRunningAt: machine.firstRunningAt ?? (phase === "running" ? at : null),
    hibernationId: hibernationOf(machine),
    operation: over ? null : operation,
  };
}

/** The snapshot that stands for a machine's sleep; it is there until the machine runs again. */
function hibernationOf({ id, phase, desiredState, hibernationId, revision }: MachineRecord): string | null {
  if (phase === "running" || phase === "destroyed") return null;
  if (phase === "sleeping" && desiredState === "sleeping")
    return hibernationId ?? `${id}h${String(revision)}`;
  return hibernationId;
}

/** The next revision of a machine whose processes ended by themselves: from its disk, without a new lease. */
export const restarted = (machine: MachineRecord, words: string, at: string): MachineRecord => ({
  ...move(machine, { phase: "starting", reason: "started again from its disk", lastError: words }, at),
  operation: "reconcile",
  operationActor: "reconcile",
});

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
  actor: ActorKind = "user",
): MachineRecord {
  if (!can(action[desired], machine.phase)) throw invalidState(machine, desired);
  const targets: Partial<Record<Phase, Phase>> = firstPhase[desired];
  const to = targets[machine.phase];
  if (to === undefined && machine.desiredState === desired) return machine;
  const next = move(
    { ...machine, desiredState: desired },
    { phase: to ?? machine.phase, reason: to ? reason : machine.reason },
    at,
  );
  const operation = operationFor(machine, desired);
  return {
    ...next,
    operation: next.phase === desired ? null : operation,
    operationActor: actor,
    hibernationId: hibernationOf(next),
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

/** What another network policy makes of a machine; the same record when it has it. @throws Refusal invalid_state */
export function withEgress(
  machine: MachineRecord,
  egress: MachineRecord["egress"],
  at: string,
): MachineRecord {
  if (machine.egress === egress) return machine;
  if (!["accepted", "placement_pending", "sleeping", "failed"].includes(machine.phase)) {
    throw new Refusal(
      "invalid_state",
      `the machine is ${machine.phase}, with the network it was started with (${machine.egress}): ` +
        "put it to sleep, set the policy, and wake it",
      { details: { current_observed_state: machine.phase } },
    );
  }
  return { ...machine, egress, revision: machine.revision + 1, lastProgressAt: at };
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
