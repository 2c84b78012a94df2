/** Whether an event is one of those that were asked for. Pure. */
import { machinesOf } from "../store/event-rows";
import type { EventFilter } from "./control-plane";
import { hasPairs } from "./json-match";
import type { LifecycleEventRecord } from "./record";

export function matchesEvent(event: LifecycleEventRecord, filter: EventFilter): boolean {
  const is = <T>(wanted: T | undefined, value: T) => wanted === undefined || wanted === value;
  return (
    is(filter.operation, event.operation) &&
    is(filter.status, event.status) &&
    is<string | null>(filter.primaryMachineId, event.machineId) &&
    is<string | null>(filter.snapshotId, event.snapshotId) &&
    is<string | null>(filter.sourceMachineId, event.sourceMachineId) &&
    is<string | null>(filter.targetMachineId, event.targetMachineId) &&
    (filter.machineId === undefined || machinesOf(event).includes(filter.machineId)) &&
    (filter.from === undefined || Date.parse(event.occurredAt) >= Date.parse(filter.from)) &&
    (filter.to === undefined || Date.parse(event.occurredAt) < Date.parse(filter.to)) &&
    (!filter.metadata || hasPairs(event.metadata, filter.metadata))
  );
}

/** A machine that every event of the filter is about; undefined when there is none. */
export const machineIn = (filter: EventFilter): string | undefined =>
  filter.machineId ?? filter.primaryMachineId ?? filter.sourceMachineId ?? filter.targetMachineId;
