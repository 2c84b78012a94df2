/** What is under way on a machine, in the words of the lifecycle log. Pure. */
import type { DesiredState } from "@pulumi-machines/sdk/dedalus/rules";
import type { MachineOperation, MachineRecord } from "./record";

/** The phase in which each operation has succeeded. */
export const goals = {
  create: "running",
  fork: "running",
  resume_from_snapshot: "running",
  reconcile: "running",
  hibernate: "sleeping",
  destroy: "destroyed",
} as const satisfies Record<MachineOperation, DesiredState>;

/** What begins when a machine, as it was, is desired otherwise. */
export function operationFor(machine: MachineRecord, desired: DesiredState): MachineOperation {
  if (desired === "destroyed") return "destroy";
  if (desired === "sleeping") return "hibernate";
  if (machine.phase !== "failed" || machine.hibernationId !== null) return "resume_from_snapshot";
  // A machine that never ran is still being made; one that did is brought back.
  if (machine.firstRunningAt !== null) return "reconcile";
  return machine.forkedFromId === null ? "create" : "fork";
}
