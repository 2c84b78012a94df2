/**
 * Finds or takes the snapshot of a resource, exactly one. A resource has had snapshots 0, 1, 2, ...; each was asked for with
 * its own idempotency key. The first that is neither gone nor held by the state already is ours: taken now, or by a create
 * that was interrupted.
 */
import type { Context } from "../context";
import { KeyReusedError } from "../controlplane/port";
import { tagNames, tagsFor } from "../controlplane/tags";
import { SnapshotGoneError, type SnapshotPort, type SnapshotView } from "../controlplane/snapshot-port";
import type { ResourceIdentity } from "../identity";
import { patiently } from "../patience";
import { journalOwner, snapshotKey, type Asked } from "./key";
import { takeSnapshot } from "./take";

export interface FoundSnapshot {
  view: SnapshotView;
  key: string;
  generation: number;
  /** What the last look failed with: the snapshot was taken, and may be gone. */
  unseen?: unknown;
}

export async function findOrTake(
  context: Context,
  snapshots: SnapshotPort,
  identity: ResourceIdentity,
  asked: Asked,
): Promise<FoundSnapshot> {
  const first = (context.seen.generations.get(identity.urn) ?? -1) + 1;
  for (let generation = first; ; generation += 1) {
    context.signal.throwIfAborted();
    const key = snapshotKey(identity, asked, generation);
    const found = await tryGeneration(context, snapshots, identity, { asked, key, generation });
    if (found) return { ...found, key, generation };
  }
}

async function tryGeneration(
  context: Context,
  snapshots: SnapshotPort,
  identity: ResourceIdentity,
  { asked, key, generation }: { asked: Asked; key: string; generation: number },
): Promise<Pick<FoundSnapshot, "view" | "unseen"> | undefined> {
  const { journal, seen, signal } = context;
  const known = await journal.find(key);
  if (known?.gone || known?.recorded) return undefined;
  const { stackIdentity, urn } = identity;
  const { machineId } = asked;
  await journal.write({ key, stackIdentity: journalOwner(stackIdentity), urn, machineId });
  const metadata = metadataOf(context, identity, { asked, key, generation });
  const began = context.clock.now();
  let view: SnapshotView;
  try {
    view = await takeSnapshot(context, snapshots, { machineId, key, ...(metadata ? { metadata } : {}) });
  } catch (error) {
    // Whatever that was, it is not what is asked for now.
    if (error instanceof KeyReusedError) return undefined;
    throw error;
  }
  if (seen.ids.has(view.id)) {
    await journal.write({ key, snapshotId: view.id, recorded: true });
    return undefined;
  }
  await journal.write({ key, snapshotId: view.id });
  const { id } = view;
  try {
    // The answer may be an old one, repeated: only a fresh look tells whether the snapshot still is.
    view = await patiently(context, () => snapshots.get(id, { signal }));
    if (known && Date.parse(view.createdAt) <= began)
      context.log(`found again: ${id}, of a create that was interrupted`);
    return { view };
  } catch (error) {
    if (!(error instanceof SnapshotGoneError)) return { view, unseen: error };
  }
  await journal.write({ key, gone: true });
  return undefined;
}

/** The user's own pairs, and which resource of which stack it is; undefined where the backend keeps none. */
function metadataOf(
  { controlPlane }: Context,
  identity: ResourceIdentity,
  { asked, key, generation }: { asked: Asked; key: string; generation: number },
): Record<string, unknown> | undefined {
  if (!controlPlane.capabilities.snapshotMetadata) return undefined;
  return { ...asked.metadata, ...tagsFor(identity, generation), [tagNames.key]: key };
}
