/** A machine's record for tests of what is pure. */
import { type MachineRecord, noLease } from "../../../local/src/engine/record";

export const machine = (over: Partial<MachineRecord> = {}): MachineRecord => ({
  id: "a1",
  vcpu: 1,
  memoryMiB: 512,
  storageGiB: 10,
  autosleepSeconds: 0,
  desiredState: "running",
  phase: "running",
  reason: "ready",
  lastError: null,
  retryable: false,
  revision: 7,
  lastTransitionAt: "2026-01-01T00:00:00.000Z",
  lastProgressAt: "2026-01-01T00:00:00.000Z",
  createdAt: "2026-01-01T00:00:00.000Z",
  lastActivityAt: "2026-01-01T00:00:00.000Z",
  lastWakeAt: null,
  ...{ template: "base", metadata: {}, cwd: null, egress: "allow_all", lease: noLease },
  ...{ fromSnapshotId: null, forkedFromId: null, firstRunningAt: null, hibernationId: null },
  ...{ operation: null, operationActor: "user" },
  ...over,
});
