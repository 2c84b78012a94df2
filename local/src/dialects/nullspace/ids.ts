/** The engine's ids as the Nullspace dialect shows them. */
import type { SnapshotRecord } from "../../engine/record";

const machinePrefix = "mch_";
const snapshotPrefix = "snap_";

export const machineId = (id: string): string => machinePrefix + id;
export const snapshotId = (id: SnapshotRecord["id"]): string => snapshotPrefix + id;

/** The engine's id; undefined for a text that no machine of this dialect is called. */
export const engineMachineId = (id: string): string | undefined =>
  /^mch_[a-z0-9]{1,64}$/.test(id) ? id.slice(machinePrefix.length) : undefined;
export const engineSnapshotId = (id: string): string | undefined =>
  /^snap_[a-z0-9]{1,64}$/.test(id) ? id.slice(snapshotPrefix.length) : undefined;
