/**
 * Which snapshot is which: the idempotency key of the k-th snapshot that a resource of a stack has had. What was asked for
 * is in it, unlike with a machine: a create that was interrupted and then asked for differently must not answer with a
 * snapshot of another machine, or of a moment before the triggers changed.
 */
import { createHash } from "node:crypto";
import type { ResourceIdentity } from "../identity";
import type { SnapshotInputs } from "./args";

export type Asked = Pick<SnapshotInputs, "machineId" | "triggers" | "metadata">;

/** Stable for ever. */
export function snapshotKey(
  { stackIdentity, urn }: ResourceIdentity,
  { machineId, triggers = [], metadata = {} }: Asked,
  generation: number,
): string {
  const parts = [stackIdentity, urn, machineId, triggers, metadata, generation];
  return `ps1-${createHash("sha256").update(JSON.stringify(parts, sorted)).digest("hex")}`;
}

/** Pairs in one order, whoever wrote them last: the program, the engine, or a state. */
const sorted = (_name: string, value: unknown): unknown =>
  typeof value === "object" && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)))
    : value;

/** In the create journal, which lists by the stack's identity: snapshots are not to be taken for machines. */
export const journalOwner = (stackIdentity: string): string => `snapshots:${stackIdentity}`;
