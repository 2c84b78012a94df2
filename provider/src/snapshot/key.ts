/**
 * Which snapshot is which: the idempotency key of the k-th snapshot that a resource of a stack has had. What was asked for
 * is in it, unlike with a machine: a create that was interrupted and then asked for differently must not answer with a
 * snapshot of another machine, or of a moment before the triggers changed.
 */
import { createHash } from "node:crypto";
import type { ResourceIdentity } from "../identity";
import type { SnapshotInputs } from "./args";
import { canonicalJson } from "./canonical-json";

export type Asked = Pick<SnapshotInputs, "machineId" | "triggers" | "metadata">;

/** Stable for ever. */
export function snapshotKey(
  { stackIdentity, urn }: ResourceIdentity,
  { machineId, triggers = [], metadata = {} }: Asked,
  generation: number,
): string {
  const parts = [stackIdentity, urn, machineId, triggers, metadata, generation];
  return `ps1-${createHash("sha256").update(canonicalJson(parts)).digest("hex")}`;
}

/** In the create journal, which lists by the stack's identity: snapshots are not to be taken for machines. */
export const journalOwner = (stackIdentity: string): string => `snapshots:${stackIdentity}`;
