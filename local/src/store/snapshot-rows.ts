/** Snapshots, as rows and as records. */
import type { Selectable } from "kysely";
import type { SnapshotRecord } from "../engine/record";
import type { SnapshotsTable } from "./schema";
import type { Tx } from "./store";

export const snapshotFromRow = (row: Selectable<SnapshotsTable>): SnapshotRecord => ({
  id: row.id,
  machineId: row.machine_id,
  kind: row.kind,
  sizeBytes: row.size_bytes,
  createdAt: row.created_at,
  metadata: JSON.parse(row.metadata) as Record<string, unknown>,
  spec: JSON.parse(row.spec) as SnapshotRecord["spec"],
});

/** With the variables that its machine has now. */
export async function insertSnapshot(tx: Tx, record: SnapshotRecord, ready: boolean): Promise<void> {
  await tx
    .insertInto("snapshots")
    .values((eb) => ({
      id: record.id,
      machine_id: record.machineId,
      kind: record.kind,
      size_bytes: record.sizeBytes,
      created_at: record.createdAt,
      metadata: JSON.stringify(record.metadata),
      spec: JSON.stringify(record.spec),
      env: eb.selectFrom("machines").select("env").where("id", "=", record.machineId).$asScalar().$notNull(),
      ready: ready ? 1 : 0,
    }))
    .execute();
}

/** It can be used from now on. */
export async function readySnapshot(tx: Tx, id: string, sizeBytes: number): Promise<void> {
  await tx.updateTable("snapshots").set({ ready: 1, size_bytes: sizeBytes }).where("id", "=", id).execute();
}

export async function deleteSnapshot(tx: Tx, id: string): Promise<void> {
  await tx.deleteFrom("snapshots").where("id", "=", id).execute();
}
