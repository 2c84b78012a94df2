/** The snapshots that come and go with a machine's own life: what it sleeps on, and what a fork is made from. */
import { deleteSnapshot, insertSnapshot } from "../store/snapshot-rows";
import type { Tx } from "../store/store";
import { sizeOf, traitsOf } from "./new-machine";
import type { MachineRecord, SnapshotRecord } from "./record";

export const snapshotOf = (
  machine: MachineRecord,
  made: Pick<SnapshotRecord, "id" | "kind" | "createdAt" | "sizeBytes">,
  metadata: Record<string, unknown> = machine.metadata,
): SnapshotRecord => ({
  ...made,
  machineId: machine.id,
  metadata,
  spec: { ...sizeOf(machine), ...traitsOf(machine) },
});

/**
 * Writes, with a machine's new record, what it means for its snapshots.
 * @param diskBytes what its disk holds
 * @returns the id of a snapshot whose disk nobody needs any more, once this is committed
 */
export async function keepSnapshots(
  tx: Tx,
  { before, after }: { before: MachineRecord | undefined; after: MachineRecord },
  diskBytes: number,
): Promise<string | undefined> {
  const [had, has] = [before?.hibernationId ?? null, after.hibernationId];
  if (had !== has) {
    if (had !== null) await deleteSnapshot(tx, had);
    if (has !== null) {
      const made = { id: has, kind: "hibernation", sizeBytes: diskBytes } as const;
      await insertSnapshot(tx, snapshotOf(after, { ...made, createdAt: after.lastProgressAt }), true);
    }
  }
  const { fromSnapshotId, forkedFromId, firstRunningAt, phase } = after;
  if (forkedFromId === null || fromSnapshotId === null || before === undefined) return undefined;
  const hasItsDisk = before.firstRunningAt === null && firstRunningAt !== null;
  const goesWithout = phase === "destroyed" && firstRunningAt === null;
  if (!hasItsDisk && !goesWithout) return undefined;
  await deleteSnapshot(tx, fromSnapshotId);
  return fromSnapshotId;
}
