/** A machine as Dedalus Cloud Services answer it, in the port's words. Pure. */
import type { Machine } from "@pulumi-machines/sdk";
import type { MachineView } from "./port";

export function viewOf(machine: Machine): MachineView {
  const { status } = machine;
  const view: MachineView = {
    id: machine.machineId,
    phase: status.phase,
    desiredState: machine.desiredState,
    reason: status.reason,
    retryable: status.retryable,
    revision: status.revision ?? "",
    vcpu: machine.vcpu,
    memoryMiB: machine.memoryMiB,
    storageGiB: machine.storageGiB,
  };
  if (status.lastError) view.lastError = status.lastError;
  if (machine.autosleepSeconds !== undefined) view.autosleepSeconds = machine.autosleepSeconds;
  if (machine.createdAt !== undefined) view.createdAt = machine.createdAt;
  if (machine.requestId !== undefined) view.requestId = machine.requestId;
  if (status.lastTransitionAt !== undefined) view.lastTransitionAt = status.lastTransitionAt;
  return view;
}
