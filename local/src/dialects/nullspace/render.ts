/** The engine's records in the vendor's words. Members without a value are absent, never null. */
import type { MachineUsage } from "../../engine/driver";
import type { ProcessLogs, ProcessRecord } from "../../engine/processes/api";
import type {
  AttemptRecord,
  DeliveryRecord,
  Lease,
  LifecycleEventRecord,
  MachineRecord,
  SnapshotRecord,
  WebhookRecord,
} from "../../engine/record";
import { machineId, snapshotId } from "./ids";
import { machineState } from "./machine-state";
import type { WarmPoolCheckout } from "./new-machine";
import { present } from "./present";
import { lifecycleEvent } from "./render-event";

const mib = 1_048_576;
const mibPerGib = 1024;

// ---------------------------------------------------------------- machines

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

// ---------------------------------------------------------------- commands

/** ProcessInfo: exactly its members, the vendor's client takes no others. */
export const processInfo = ({ pid, command, running }: ProcessRecord) => ({ pid, command, running });

/** What a reader of logs takes for an ended command whose code could not be learned; so does the vendor's client. */
export const unknownExitCode = -1;

/** ProcessLogs, and how many bytes at the start of each stream are kept no more (ours). */
export const processLogs = ({ process, stdout, stderr, output, ...dropped }: ProcessLogs) => ({
  ...{ stdout, stderr, output },
  ...(process.running ? {} : { exit_code: process.exitCode ?? unknownExitCode }),
  stdout_bytes: process.stdoutBytes,
  stderr_bytes: process.stderrBytes,
  stdout_dropped: dropped.stdoutDropped,
  stderr_dropped: dropped.stderrDropped,
  ...present({ error_code: process.errorCode, error_message: process.errorMessage }),
});

/** PtySessionInfo of a process on a terminal. */
export const ptySession = (process: ProcessRecord, terminal: NonNullable<ProcessRecord["terminal"]>) => ({
  session_id: terminal.sessionId,
  pid: process.pid,
  cols: terminal.cols,
  rows: terminal.rows,
  exec_id: process.executionId,
});

// ---------------------------------------------------------------- webhooks

/** LifecycleWebhookInfo; the secret is never told. */
export const webhookInfo = (webhook: WebhookRecord) => ({
  id: webhook.id,
  url: webhook.url,
  operations: webhook.operations,
  enabled: webhook.enabled,
  has_signing_secret: true,
  created_at: webhook.createdAt,
  updated_at: webhook.updatedAt,
  ...present({
    last_delivery_at: webhook.lastDeliveryAt,
    last_delivery_status: webhook.lastDeliveryStatus,
    last_error: webhook.lastError,
  }),
});

/** LifecycleWebhookDeliveryInfo */
export const deliveryInfo = (delivery: DeliveryRecord) => ({
  id: delivery.id,
  webhook_id: delivery.webhookId,
  event_id: delivery.eventId,
  operation: delivery.operation,
  status: delivery.status,
  delivery_status: delivery.deliveryStatus,
  attempt_count: delivery.attemptCount,
  created_at: delivery.createdAt,
  ...present({
    next_attempt_at: delivery.nextAttemptAt,
    last_attempt_at: delivery.lastAttemptAt,
    last_response_status: delivery.lastResponseStatus,
    last_error: delivery.lastError,
  }),
});

const attemptInfo = (attempt: AttemptRecord) => ({
  id: attempt.id,
  delivery_id: attempt.deliveryId,
  attempt_number: attempt.attemptNumber,
  attempted_at: attempt.attemptedAt,
  duration_ms: attempt.durationMs,
  ...present({
    response_status: attempt.responseStatus,
    error_code: attempt.errorCode,
    error_message: attempt.errorMessage,
  }),
});

/** LifecycleWebhookDeliveryDetail */
export const deliveryDetail = (found: {
  delivery: DeliveryRecord;
  event: LifecycleEventRecord;
  attempts: AttemptRecord[];
}) => ({
  delivery: deliveryInfo(found.delivery),
  event: lifecycleEvent(found.event),
  attempts: found.attempts.map(attemptInfo),
});
