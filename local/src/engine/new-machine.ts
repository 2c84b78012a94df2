/** The first record of a machine: made from a size, or from a snapshot. Pure. */
import { type ForkChange, type NewMachine, Refusal } from "./control-plane";
import { leaseFrom } from "./lease";
import type { MachineRecord, MachineSize, MachineTraits, SnapshotRecord } from "./record";

const defaultTraits: MachineTraits = { template: "base", metadata: {}, cwd: null, egress: "allow_all" };

/** @throws Refusal invalid_argument, storage_shrink */
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
    ...sizeFor(spec.size, snapshot?.spec),
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

/**
 * A machine as its parent is, but for what is its own, on the disk that `snapshot` holds; its lease begins anew.
 * @throws Refusal invalid_argument, storage_shrink
 */
export function newFork(
  id: string,
  { parent, own = {} }: { parent: MachineRecord; own?: ForkChange | undefined },
  snapshot: SnapshotRecord,
  at: string,
): MachineRecord {
  const { autosleepSeconds = parent.autosleepSeconds, ...given } = own;
  const { lease, ...child } = newMachine(id, { ...given, autosleepSeconds }, snapshot, at);
  return {
    ...child,
    lease: own.lease ? lease : { ...parent.lease, timeoutAt: null },
    reason: "forked",
    forkedFromId: parent.id,
    operation: "fork",
  };
}

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

/** @throws Refusal invalid_argument, storage_shrink */
export function sizeFor(wanted: Partial<MachineSize> = {}, source: MachineSize | undefined): MachineSize {
  const { vcpu = source?.vcpu, memoryMiB = source?.memoryMiB, storageGiB = source?.storageGiB } = wanted;
  if (vcpu === undefined || memoryMiB === undefined || storageGiB === undefined) {
    throw new Refusal("invalid_argument", "a machine that is made from no other disk needs a whole size");
  }
  if (source && storageGiB < source.storageGiB) {
    throw new Refusal(
      "storage_shrink",
      `a disk never shrinks: what it is made from has ${String(source.storageGiB)} GiB, asked for ${String(storageGiB)}`,
    );
  }
  return { vcpu, memoryMiB, storageGiB };
}
