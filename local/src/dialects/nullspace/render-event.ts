/** A lifecycle event in the vendor's words: the same in history, streams and webhooks. */
import type { LifecycleEventRecord } from "../../engine/record";
import { machineId, snapshotId } from "./ids";
import { present } from "./present";

const idOr = (render: (id: string) => string, id: string | null): string | null =>
  id === null ? null : render(id);

export const lifecycleEvent = (event: LifecycleEventRecord) => ({
  id: event.id,
  occurred_at: event.occurredAt,
  audience: "customer",
  operation: event.operation,
  status: event.status,
  actor_kind: event.actorKind,
  metadata: event.metadata,
  ...present({
    machine_id: idOr(machineId, event.machineId),
    snapshot_id: idOr(snapshotId, event.snapshotId),
    source_machine_id: idOr(machineId, event.sourceMachineId),
    target_machine_id: idOr(machineId, event.targetMachineId),
    reason: event.reason,
    error_code: event.errorCode,
    error_message: event.errorMessage,
  }),
});

/** What a webhook gets: the event, wrapped so that other kinds can follow. */
export const webhookBody = (event: LifecycleEventRecord): string =>
  JSON.stringify({ type: "lifecycle.event", event: lifecycleEvent(event) });
