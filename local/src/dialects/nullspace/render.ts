/** Machines and snapshots in the vendor's words. Members without a value are absent, never null. */
import type { MachineUsage } from "../../engine/driver";
import type { Lease, MachineRecord, SnapshotRecord } from "../../engine/record";
import { machineId, snapshotId } from "./ids";
import { machineState } from "./machine-state";
import type { WarmPoolCheckout } from "./new-machine";
import { present } from "./present";

const mib = 1_048_576;
const mibPerGib = 1024;

/** vCPUs are whole here: a quarter of one, made through the other dialect, shows as one. */
const vcpus = ({ vcpu }: MachineRecord): number => Math.max(1, Math.ceil(vcpu));

const config = (machine: MachineRecord) => ({
  vcpus: vcpus(machine),
  memory_mb: machine.memoryMiB,
  disk_mb: machine.storageGiB * mibPerGib,
});

/** What every object of a machine has. */
const handle = (machine: MachineRecord) => ({
  id: machineId(machine.id),
  status: machineState(machine),
  config: config(machine),
  ...present({ cwd: machine.cwd }),
});

/** MachineHandle: answered by resume and fork. */
export const machineHandle = handle;

const common = (machine: MachineRecord) => ({
  ...handle(machine),
  template: machine.template,
  created_at: machine.createdAt,
  metadata: machine.metadata,
  ...present({
    started_at: machine.firstRunningAt,
    timeout_ms: machine.lease.timeoutMs,
    timeout_at: machine.lease.timeoutAt,
    expires_at: machine.lease.timeoutAt,
    timeout_action: timeoutAction(machine),
  }),
});

/** CreateMachineResponse */
export const createdMachine = (machine: MachineRecord, warmPool: WarmPoolCheckout | undefined) => ({
  ...common(machine),
  ...present({ warm_pool_checkout: warmPool }),
});

/** MachineInfo, as of now. */
export const machineInfo = (machine: MachineRecord, now: Date) => ({
  ...common(machine),
  ephemeral: machine.lease.ephemeral,
  ...present({
    remaining_ms: remainingMs(machine.lease, now),
    last_active_at: lastActiveAt(machine),
    inactivity_timeout_ms: inactivityMs(machine),
    auto_delete_after_ms: machine.lease.autoDeleteAfterMs,
    snapshot_id:
      machine.hibernationId !== null && machineState(machine) === "paused"
        ? snapshotId(machine.hibernationId)
        : null,
  }),
});

const remainingMs = ({ timeoutAt }: Lease, now: Date): number | null =>
  timeoutAt === null ? null : Math.max(0, Date.parse(timeoutAt) - now.getTime());

/** The autosleep of the other dialect is an inactivity that hibernates. */
const inactivityMs = ({ lease, autosleepSeconds }: MachineRecord): number | null =>
  lease.inactivityTimeoutMs ?? (autosleepSeconds > 0 ? autosleepSeconds * 1000 : null);

function timeoutAction(machine: MachineRecord): Lease["timeoutAction"] | null {
  const { lease, autosleepSeconds } = machine;
  if (lease.timeoutMs !== null || lease.inactivityTimeoutMs !== null) return lease.timeoutAction;
  return autosleepSeconds > 0 ? "hibernate" : null;
}

/** The start itself is no activity. */
const lastActiveAt = ({ firstRunningAt, lastActivityAt }: MachineRecord): string | null =>
  firstRunningAt !== null && lastActivityAt > firstRunningAt ? lastActivityAt : null;

/** SetTimeoutResponse */
export const leaseAnswer = ({ lease }: MachineRecord, now: Date) => ({
  timeout_ms: lease.timeoutMs,
  timeout_action: lease.timeoutAction,
  ...present({ timeout_at: lease.timeoutAt, remaining_ms: remainingMs(lease, now) }),
});

/** UpdateEgressResponse */
export const egressAnswer = (machine: MachineRecord) => ({
  machine_id: machineId(machine.id),
  egress: { mode: machine.egress },
});

/** MachineMetrics: exactly its members, the vendor's client takes no others. */
export const metrics = (machine: MachineRecord, usage: MachineUsage, now: Date) => ({
  timestamp: now.toISOString(),
  cpu_percent: usage.cpuPercent,
  cpu_count: vcpus(machine),
  mem_used_bytes: usage.memoryUsedBytes,
  mem_total_bytes: machine.memoryMiB * mib,
  disk_used_bytes: usage.diskUsedBytes,
  disk_total_bytes: machine.storageGiB * mibPerGib * mib,
  network_rx_bytes: usage.networkRxBytes,
  network_tx_bytes: usage.networkTxBytes,
});

/** SnapshotInfo: exactly its members, the vendor's client takes no others. */
export const snapshotInfo = (snapshot: SnapshotRecord) => ({
  id: snapshotId(snapshot.id),
  machine_id: machineId(snapshot.machineId),
  size_bytes: snapshot.sizeBytes,
  created_at: snapshot.createdAt,
  metadata: snapshot.metadata,
});
