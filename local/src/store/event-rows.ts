/** Events of the lifecycle log, as rows and as records. */
import type { Selectable } from "kysely";
import type { LifecycleEventRecord } from "../engine/record";
import type { LifecycleEventsTable, LifecycleMachinesTable } from "./schema";

export const eventFromRow = (row: Selectable<LifecycleEventsTable>): LifecycleEventRecord => ({
  sequence: row.seq,
  id: row.id,
  occurredAt: row.occurred_at,
  operation: row.operation,
  status: row.status,
  actorKind: row.actor_kind,
  machineId: row.machine_id,
  snapshotId: row.snapshot_id,
  sourceMachineId: row.source_machine_id,
  targetMachineId: row.target_machine_id,
  reason: row.reason,
  errorCode: row.error_code,
  errorMessage: row.error_message,
  metadata: JSON.parse(row.metadata) as Record<string, unknown>,
});

export const rowFromEvent = (event: LifecycleEventRecord): LifecycleEventsTable => ({
  seq: event.sequence,
  id: event.id,
  occurred_at: event.occurredAt,
  operation: event.operation,
  status: event.status,
  actor_kind: event.actorKind,
  machine_id: event.machineId,
  snapshot_id: event.snapshotId,
  source_machine_id: event.sourceMachineId,
  target_machine_id: event.targetMachineId,
  reason: event.reason,
  error_code: event.errorCode,
  error_message: event.errorMessage,
  metadata: JSON.stringify(event.metadata),
});

/** Every machine that an event is about, once. */
export const machinesOf = (
  event: Pick<LifecycleEventRecord, "machineId" | "sourceMachineId" | "targetMachineId">,
): string[] => [
  ...new Set([event.machineId, event.sourceMachineId, event.targetMachineId].filter((id) => id !== null)),
];

export const machineRowsOf = (event: LifecycleEventRecord): LifecycleMachinesTable[] =>
  machinesOf(event).map((id) => ({ machine_id: id, seq: event.sequence }));
