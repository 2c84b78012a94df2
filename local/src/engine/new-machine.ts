/** The first record of a machine: made from a size, or from a snapshot. Pure. */
import { type NewMachine, Refusal } from "./control-plane";
import { leaseFrom } from "./lease";
import type { MachineRecord, MachineSize, MachineTraits, SnapshotRecord } from "./record";

const defaultTraits: MachineTraits = { template: "base", metadata: {}, cwd: null, egress: "allow_all" };

/** @throws Refusal invalid_argument */
export function newMachine(
  id: string,
  spec: NewMachine,
  snapshot: SnapshotRecord | undefined,
  at: string,
): MachineRecord {
  const given = { ...defaultTraits, ...(snapshot && traitsOf(snapshot.spec)), ...spec.traits };
  if (given.template !== defaultTraits.template) {
    throw new Refusal("invalid_argument", `there is no template "${given.template}"; the only one is "base"`);
  }
  return {
    id,
    ...sizeFor(spec, snapshot),
    ...given,
    autosleepSeconds: spec.autosleepSeconds,
    desiredState: "running",
    phase: "accepted",
    reason: "created",
    lastError: null,
    retryable: false,
    revision: 1,
    lastTransitionAt: at,
    lastProgressAt: at,
    createdAt: at,
    lastActivityAt: at,
    lastWakeAt: null,
    lease: leaseFrom(spec.lease ?? {}),
    fromSnapshotId: snapshot?.id ?? null,
    forkedFromId: null,
    firstRunningAt: null,
    hibernationId: null,
    operation: "create",
    operationActor: "user",
  };
}

/** A machine as its parent is, on the disk that `snapshot` holds; its lease begins anew. */
export const newFork = (
  id: string,
  parent: MachineRecord,
  snapshot: SnapshotRecord,
  at: string,
): MachineRecord => ({
  ...newMachine(id, { autosleepSeconds: parent.autosleepSeconds }, snapshot, at),
  lease: { ...parent.lease, timeoutAt: null },
  reason: "forked",
  forkedFromId: parent.id,
  operation: "fork",
});

export const sizeOf = ({ vcpu, memoryMiB, storageGiB }: MachineSize): MachineSize => ({
  vcpu,
  memoryMiB,
  storageGiB,
});

export const traitsOf = ({ template, metadata, cwd, egress }: MachineTraits): MachineTraits => ({
  template,
  metadata,
  cwd,
  egress,
});

function sizeFor({ size }: NewMachine, snapshot: SnapshotRecord | undefined): MachineSize {
  if (snapshot) return sizeOf(snapshot.spec);
  if (!size) throw new Refusal("invalid_argument", "a machine that is made from no snapshot needs a size");
  return sizeOf(size);
}
