/** Which events a lifecycle stream wants: as its first frame says it, and as a test of one event. Pure. */
import { isDeepStrictEqual } from "node:util";
import type { Open } from "../open";
import type { LifecycleOperation, LifecycleStatus } from "./rules";
import type { LifecycleEvent } from "./wire";

export interface LifecycleFilter {
  /** Events about this machine, also as the source or the target of another. */
  machineId?: string | undefined;
  snapshotId?: string | undefined;
  operation?: Open<LifecycleOperation> | undefined;
  status?: Open<LifecycleStatus> | undefined;
  /** `internal` is refused: the service shows events for customers only. */
  audience?: "customer" | undefined;
  /** Pairs that must all stand in an event's metadata. */
  metadata?: Record<string, unknown> | undefined;
}

/** Where a connection begins. */
export interface SubscribeFrom {
  afterEventId?: string | undefined;
  liveOnly?: boolean | undefined;
  replayLimit?: number | undefined;
}

export const subscribeText = (filter: LifecycleFilter, from: SubscribeFrom): string =>
  JSON.stringify({
    type: "subscribe",
    machine_id: filter.machineId,
    snapshot_id: filter.snapshotId,
    operation: filter.operation,
    status: filter.status,
    audience: filter.audience,
    live_only: from.liveOnly,
    after_event_id: from.afterEventId,
    replay_limit: from.replayLimit,
    metadata: filter.metadata,
  });

export function matches(event: LifecycleEvent, filter: LifecycleFilter): boolean {
  const { machineId, snapshotId, operation, status, audience, metadata = {} } = filter;
  const machines = [event.machineId, event.sourceMachineId, event.targetMachineId];
  return (
    (machineId === undefined || machines.includes(machineId)) &&
    isWanted(snapshotId, event.snapshotId) &&
    isWanted(operation, event.operation) &&
    isWanted(status, event.status) &&
    isWanted(audience, event.audience) &&
    Object.entries(metadata).every(([name, value]) => isDeepStrictEqual(event.metadata[name], value))
  );
}

const isWanted = <T>(wanted: T | undefined, found: T | undefined): boolean =>
  wanted === undefined || wanted === found;
