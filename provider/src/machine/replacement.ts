/**
 * `beforeReplace: "snapshot"`: a replacement that starts from the disk of the machine before. The diff, which alone sees
 * both, notes the old machine; the create takes the snapshot, or the delete does where it comes first. The create journal
 * remembers a snapshot until the new machine runs, so that an interrupted replacement goes on from it.
 */
import type { Context } from "../context";
import { MachineGoneError } from "../controlplane/port";
import { SnapshotGoneError } from "../controlplane/snapshot-port";
import { messageOf } from "../failure-report";
import { createKey, type ResourceIdentity } from "../identity";
import { patiently } from "../patience";
import { oneLine } from "../one-line";

/** The key under which the journal keeps the snapshot that the next machine of a resource starts from. */
const entryKey = (context: Context, identity: ResourceIdentity, generation?: number): string =>
  createKey(identity, generation ?? (context.seen.generations.get(identity.urn) ?? -1) + 1);

/** The snapshot that a new machine starts from; undefined when it replaces none. @throws Error when it cannot be taken */
export async function snapshotFor(context: Context, identity: ResourceIdentity): Promise<string | undefined> {
  const { seen, journal, signal, controlPlane } = context;
  const key = entryKey(context, identity);
  const kept = (await journal.find(key))?.snapshotId;
  if (kept !== undefined && (await isThere(context, kept))) return kept;
  const oldId = seen.replacing.get(identity.urn);
  if (oldId === undefined) return undefined;
  const id = await take(context, oldId, key);
  seen.replacing.delete(identity.urn);
  signal.throwIfAborted();
  context.log(`made from ${id}, a snapshot of ${oldId} on ${controlPlane.backend}`);
  return id;
}

/** Before a machine is destroyed: its disk is kept when a replacement that was announced has not taken it yet. */
export async function snapshotBefore(
  context: Context,
  id: string,
  state: Record<string, unknown>,
): Promise<void> {
  const { __urn: urn, __stackIdentity: stackIdentity, __generation: generation } = state;
  if (typeof urn !== "string" || typeof stackIdentity !== "string" || typeof generation !== "number") return;
  if (context.seen.replacing.get(urn) !== id) return;
  await take(context, id, entryKey(context, { urn, stackIdentity }, generation + 1));
  context.seen.replacing.delete(urn);
}

async function take(context: Context, machineId: string, key: string): Promise<string> {
  const { controlPlane, journal, signal } = context;
  if (!controlPlane.snapshots) throw new Error(`the backend "${controlPlane.backend}" has no snapshots`);
  const { snapshots } = controlPlane;
  context.log(`taking a snapshot of ${machineId}, which is replaced`);
  try {
    const { id } = await patiently(context, () =>
      snapshots.create(machineId, {}, { idempotencyKey: `${key}-before`, signal }),
    );
    await journal.write({ key, snapshotId: id });
    return id;
  } catch (error) {
    const why = error instanceof MachineGoneError ? "it does not exist any more" : messageOf(error);
    throw new Error(
      `no snapshot of ${machineId} could be taken before it is replaced: ${oneLine(why)}. Nothing was changed; without ` +
        `beforeReplace the machine is replaced and its disk is lost`,
      { cause: error },
    );
  }
}

async function isThere(context: Context, id: string): Promise<boolean> {
  try {
    await patiently(context, async () => context.controlPlane.snapshots?.get(id, { signal: context.signal }));
    return true;
  } catch (error) {
    if (error instanceof SnapshotGoneError) return false;
    throw error;
  }
}

/** The new machine runs: the snapshot has done its work. One that cannot be deleted now is named, not lost. */
export async function dropSnapshot(context: Context, id: string): Promise<void> {
  const { controlPlane, signal } = context;
  try {
    await patiently(context, async () => controlPlane.snapshots?.delete(id, { signal }));
  } catch (error) {
    context.warn(
      `snapshot ${id}, from which the machine was made, could not be deleted: ${oneLine(messageOf(error))}. Delete it by hand`,
    );
  }
}
