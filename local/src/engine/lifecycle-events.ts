/**
 * What the lifecycle log says of a change of a machine. Pure: the record before, the record after, and the events between
 * them. Every operation has one `requested` and one end; what happens in one step, as a new timeout, has its end alone.
 */
import { goals } from "./operations";
import type { Lease, LifecycleEventRecord, MachineOperation, MachineRecord } from "./record";

/** An event before it has its place in the log. */
export type EventDraft = Omit<LifecycleEventRecord, "sequence" | "id" | "occurredAt">;

/** @param facts goes into the metadata of the operation's end; of a new machine into that of its first event */
export function lifecycleEvents(
  before: MachineRecord | undefined,
  after: MachineRecord,
  facts: Record<string, unknown> = {},
): EventDraft[] {
  const was = before?.operation ?? null;
  const is = after.operation;
  const events: EventDraft[] = [];
  if (before && was !== null && was !== is) events.push(ended(was, before, after, facts));
  if (before && leaseIsSet(before, after)) events.push(timeoutUpdated(after));
  if (is !== null && was !== is) events.push(...begun(is, after, before ? {} : facts));
  if (before && was === null && is === null && after.phase === "failed" && before.phase !== "failed") {
    // It broke down at rest, and is not brought back.
    const broken = { ...after, operationActor: "reconcile" } as const;
    events.push(requested("reconcile", broken), ended("reconcile", broken, after, facts));
  }
  if (was !== "hibernate" && after.hibernationId !== null && !before?.hibernationId) {
    // A wake was taken back before it began: it sleeps without having been awake.
    events.push(requested("hibernate", after), ended("hibernate", after, after, facts));
  }
  return events;
}

const draft = (
  machine: MachineRecord,
  event: Pick<EventDraft, "operation" | "status"> & Partial<EventDraft>,
): EventDraft => ({
  actorKind: machine.operationActor,
  machineId: machine.id,
  snapshotId: null,
  sourceMachineId: null,
  targetMachineId: null,
  reason: null,
  errorCode: null,
  errorMessage: null,
  ...event,
  metadata: { ...machine.metadata, ...event.metadata },
});

/** A limit of the lease that is reached is said before what it brings about. */
function begun(
  operation: MachineOperation,
  machine: MachineRecord,
  facts: Record<string, unknown>,
): EventDraft[] {
  const request = requested(operation, machine, facts);
  const { reason, lease } = machine;
  const isLimit =
    machine.operationActor === "system" && (reason === "timeout" || reason === "inactivity_timeout");
  if (!isLimit) return [request];
  const limit =
    reason === "timeout"
      ? { timeout_ms: lease.timeoutMs }
      : { inactivity_timeout_ms: lease.inactivityTimeoutMs };
  const expired = draft(machine, {
    operation: "timeout_expired",
    status: "succeeded",
    reason,
    metadata: { timeout_action: operation === "hibernate" ? "hibernate" : "destroy", ...limit },
  });
  return [expired, request];
}

const requested = (
  operation: MachineOperation,
  machine: MachineRecord,
  metadata: Record<string, unknown> = {},
): EventDraft =>
  draft(machine, {
    metadata,
    operation,
    status: "requested",
    reason: operation === "reconcile" ? (machine.lastError ?? machine.reason) : machine.reason,
    ...relatives(operation, machine),
  });

function ended(
  operation: MachineOperation,
  before: MachineRecord,
  after: MachineRecord,
  facts: Record<string, unknown>,
): EventDraft {
  const common = {
    operation,
    reason: isReasoned(operation) ? before.reason : null,
    ...relatives(operation, before),
  };
  if (after.phase === goals[operation]) {
    const snapshotId = operation === "hibernate" ? after.hibernationId : common.snapshotId;
    return draft(before, { ...common, snapshotId, status: "succeeded", metadata: facts });
  }
  if (after.phase === "failed") {
    const { reason: errorCode, lastError: errorMessage } = after;
    return draft(before, { ...common, status: "failed", errorCode, errorMessage, metadata: facts });
  }
  return draft(before, {
    ...common,
    status: "failed",
    errorCode: "superseded",
    errorMessage: `overtaken by: ${after.operation ?? "hibernate"}`,
  });
}

/** A machine keeps the reason for which it is stopped or destroyed until that is done. */
const isReasoned = (operation: MachineOperation): boolean =>
  operation === "hibernate" || operation === "destroy";

/** The snapshot and the other machines that an operation is about. */
function relatives(operation: MachineOperation, machine: MachineRecord) {
  switch (operation) {
    case "create":
      return { snapshotId: machine.fromSnapshotId };
    case "fork":
      return { snapshotId: null, sourceMachineId: machine.forkedFromId, targetMachineId: machine.id };
    case "resume_from_snapshot":
      return { snapshotId: machine.hibernationId };
    case "hibernate":
    case "destroy":
    case "reconcile":
      return { snapshotId: null };
    default:
      return operation satisfies never;
  }
}

const timeoutUpdated = (machine: MachineRecord): EventDraft =>
  draft(machine, {
    operation: "timeout_updated",
    status: "succeeded",
    actorKind: "user",
    metadata: { timeout_ms: machine.lease.timeoutMs, timeout_action: machine.lease.timeoutAction },
  });

/** Stated anew, not started or stopped by the machine's own life. */
function leaseIsSet(before: MachineRecord, after: MachineRecord): boolean {
  const differs = (name: keyof Lease) => before.lease[name] !== after.lease[name];
  return (
    before.phase === after.phase && (differs("timeoutMs") || differs("timeoutAt") || differs("timeoutAction"))
  );
}
