/** What the resources and the tools need of the lifecycle history. */
import type { CallOptions } from "./port";

export interface EventView {
  id: string;
  /** ISO 8601. */
  occurredAt: string;
  operation: string;
  /** "requested", "succeeded", "failed". */
  status: string;
  /** "user", "system", "reconcile". */
  actorKind: string;
  machineId?: string;
  snapshotId?: string;
  sourceMachineId?: string;
  targetMachineId?: string;
  reason?: string;
  errorCode?: string;
  errorMessage?: string;
  metadata: Record<string, unknown>;
}

export interface EventFilter {
  machineId?: string;
  snapshotId?: string;
  sourceMachineId?: string;
  targetMachineId?: string;
  operation?: string;
  status?: string;
  /** ISO 8601; inclusive. */
  from?: string;
  /** ISO 8601; exclusive. */
  to?: string;
  order?: "asc" | "desc";
  /** How many at most; default all. */
  limit?: number;
}

export interface EventPort {
  list(filter: EventFilter, options: CallOptions): AsyncIterable<EventView>;
}
