/**
 * The closed sets of the Nullspace machines API: states, lifecycle operations, what happens at a timeout.
 * Pure; read by the client and the embedded control plane. Source: the enums of the vendor's OpenAPI document.
 */
import type { Open } from "../open";

export const machineStates = ["creating", "running", "paused", "destroyed", "error"] as const;
export type MachineState = (typeof machineStates)[number];

export const timeoutActions = ["destroy", "hibernate"] as const;
export type TimeoutAction = (typeof timeoutActions)[number];

export const lifecycleOperations = [
  "create",
  "destroy",
  "timeout_updated",
  "timeout_expired",
  "hibernate",
  "snapshot_created",
  "resume_from_snapshot",
  "fork",
  "reconcile",
] as const;
export type LifecycleOperation = (typeof lifecycleOperations)[number];

export const lifecycleStatuses = ["requested", "succeeded", "failed"] as const;
export type LifecycleStatus = (typeof lifecycleStatuses)[number];

export const lifecycleAudiences = ["customer", "internal"] as const;
export type LifecycleAudience = (typeof lifecycleAudiences)[number];

export const actorKinds = ["user", "system", "reconcile"] as const;
export type ActorKind = (typeof actorKinds)[number];

export const deliveryStatuses = ["queued", "in_progress", "succeeded", "dead_letter"] as const;
export type DeliveryStatus = (typeof deliveryStatuses)[number];

/** Names that a field mask (`fields=`) may hold. */
export const machineFieldNames = [
  "id",
  "status",
  "config",
  "template",
  "metadata",
  "started_at",
  "timeout_ms",
  "timeout_at",
  "expires_at",
  "timeout_action",
  "created_at",
  "cwd",
  "snapshot_id",
  "traffic_access_token",
] as const;
export type MachineFieldName = (typeof machineFieldNames)[number];

/** True when nothing more will happen to the machine without a new call. */
export const isAtRest = (state: Open<MachineState>): boolean => state !== "creating";
