/** What the lifecycle log says of snapshots, and of forks that came to nothing. Pure. */
import type { EventDraft } from "./lifecycle-events";
import type { MachineRecord, SnapshotRecord } from "./record";

export interface Failure {
  errorCode: string;
  errorMessage: string;
}

export const snapshotCreated = (
  { id, machineId, metadata }: SnapshotRecord,
  how: Pick<EventDraft, "status"> & Partial<EventDraft>,
): EventDraft => ({
  operation: "snapshot_created",
  actorKind: "user",
  machineId,
  snapshotId: id,
  sourceMachineId: null,
  targetMachineId: null,
  reason: null,
  errorCode: null,
  errorMessage: null,
  metadata,
  ...how,
});

/** Of a machine that never came to be. */
export function forkFailed(parent: MachineRecord, childId: string, failure: Failure): EventDraft[] {
  const fork: Omit<EventDraft, "status"> = {
    operation: "fork",
    actorKind: "user",
    machineId: childId,
    snapshotId: null,
    sourceMachineId: parent.id,
    targetMachineId: childId,
    reason: null,
    errorCode: null,
    errorMessage: null,
    metadata: parent.metadata,
  };
  return [
    { ...fork, status: "requested" },
    { ...fork, status: "failed", ...failure },
  ];
}
