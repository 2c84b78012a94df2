/** The engine's phases in the five states of this dialect. */
import type { Phase } from "@pulumi-machines/sdk/dedalus/rules";
import type { MachineState } from "@pulumi-machines/sdk/nullspace/rules";
import type { MachineRecord } from "../../engine/record";

const statesOf = {
  accepted: ["creating", "paused", "running"],
  placement_pending: ["creating", "paused", "running"],
  starting: ["creating", "paused", "running"],
  running: ["running"],
  stopping: ["running"],
  sleeping: ["paused"],
  failed: ["error"],
  destroying: ["destroyed"],
  destroyed: ["destroyed"],
} as const satisfies Record<Phase, readonly MachineState[]>;

/** A machine that starts: for the first time, after a sleep (or a failure), or again since its processes ended. */
export function machineState(machine: MachineRecord): MachineState {
  const [first, ...others] = statesOf[machine.phase];
  if (others.length === 0) return first;
  if (machine.firstRunningAt === null) return "creating";
  return machine.operation === "resume_from_snapshot" || machine.hibernationId !== null
    ? "paused"
    : "running";
}

/** Every phase in which a machine can show one of these states. */
export const phasesOf = (states: readonly MachineState[]): Phase[] =>
  (Object.keys(statesOf) as Phase[]).filter((phase) =>
    (statesOf[phase] as readonly MachineState[]).some((state) => states.includes(state)),
  );
