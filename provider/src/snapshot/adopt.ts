/** Taking over a snapshot that exists, instead of taking one. */
import type { Context } from "../context";
import { SnapshotGoneError, type SnapshotPort } from "../controlplane/snapshot-port";
import type { ResourceIdentity } from "../identity";
import { patiently } from "../patience";
import type { FoundSnapshot } from "./find";
import { snapshotKey, type Asked } from "./key";

/** @throws Error when there is no such snapshot, it is of another machine, or the program has taken it over already */
export async function adopt(
  context: Context,
  snapshots: SnapshotPort,
  identity: ResourceIdentity,
  { id, ...asked }: Asked & { id: string },
): Promise<FoundSnapshot> {
  const { seen, signal } = context;
  const view = await patiently(context, () => snapshots.get(id, { signal })).catch((error: unknown) => {
    if (!(error instanceof SnapshotGoneError)) throw error;
    throw new Error(`adopt names no snapshot of the backend "${context.controlPlane.backend}": "${id}"`, {
      cause: error,
    });
  });
  if (view.machineId !== asked.machineId) {
    throw new Error(
      `adopt names ${id}, which is a snapshot of machine ${view.machineId}: set machineId to that`,
    );
  }
  if (seen.claims.has(id)) {
    throw new Error(`adopt names ${id}, which another resource of this program has taken over already`);
  }
  const generation = (seen.generations.get(identity.urn) ?? -1) + 1;
  context.log(`taken over: ${id}`);
  return { view, key: snapshotKey(identity, asked, generation), generation };
}
