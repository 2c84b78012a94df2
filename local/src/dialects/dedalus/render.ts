/** Records in the DCS wire format (LifecycleResponse, MachineListItem, ExecutionResponse, ...). */
import type { PageResult, StoredAnswer } from "../../engine/control-plane";
import { wakeRetryMs } from "../../engine/executions";
import type { ExecutionEventRecord, ExecutionRecord, MachineRecord } from "../../engine/record";

export const machineId = (id: string): string => `dm-${id}`;

const status = (machine: MachineRecord) => ({
  phase: machine.phase,
  reason: machine.reason,
  retryable: machine.retryable,
  revision: String(machine.revision),
  last_transition_at: machine.lastTransitionAt,
  last_progress_at: machine.lastProgressAt,
  ...(machine.lastError === null ? {} : { last_error: machine.lastError }),
});

const common = (machine: MachineRecord, flatPhase: boolean) => ({
  machine_id: machineId(machine.id),
  vcpu: machine.vcpu,
  memory_mib: machine.memoryMiB,
  storage_gib: machine.storageGiB,
  desired_state: machine.desiredState,
  status: status(machine),
  ...(flatPhase ? { phase: machine.phase } : {}),
});

export const lifecycle = (machine: MachineRecord, flatPhase: boolean) => ({
  ...common(machine, flatPhase),
  autosleep_seconds: machine.autosleepSeconds,
});

export const listItem = (machine: MachineRecord, flatPhase: boolean) => ({
  ...common(machine, flatPhase),
  created_at: machine.createdAt,
  ...(flatPhase ? { autosleep_seconds: machine.autosleepSeconds } : {}),
});

export const etag = (machine: MachineRecord): string => `"${String(machine.revision)}"`;

export const lifecycleAnswer =
  (flatPhase: boolean) =>
  (machine: MachineRecord, pending: boolean): StoredAnswer => ({
    status: pending ? 202 : 200,
    headers: { etag: etag(machine) },
    body: JSON.stringify(lifecycle(machine, flatPhase)),
  });

const given = (fields: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null && value !== undefined));

export const execution = (record: ExecutionRecord) => ({
  execution_id: record.id,
  machine_id: machineId(record.machineId),
  status: record.status,
  command: record.command,
  env_keys: record.envKeys,
  created_at: record.createdAt,
  stdout_bytes: record.stdoutBytes,
  stderr_bytes: record.stderrBytes,
  stdout_truncated: record.stdoutTruncated,
  stderr_truncated: record.stderrTruncated,
  ...given({
    cwd: record.cwd,
    started_at: record.startedAt,
    completed_at: record.completedAt,
    expires_at: record.expiresAt,
    exit_code: record.exitCode,
    signal: record.signal,
    error_code: record.errorCode,
    error_message: record.errorMessage,
    retry_after_ms: record.status === "wake_in_progress" ? wakeRetryMs : null,
  }),
});

export const executionAnswer = (record: ExecutionRecord): StoredAnswer => ({
  status: 200,
  headers: {},
  body: JSON.stringify(execution(record)),
});

export const executionOutput = (output: { record: ExecutionRecord; stdout: string; stderr: string }) => ({
  execution_id: output.record.id,
  stdout: output.stdout,
  stderr: output.stderr,
  stdout_bytes: output.record.stdoutBytes,
  stderr_bytes: output.record.stderrBytes,
  stdout_truncated: output.record.stdoutTruncated,
  stderr_truncated: output.record.stderrTruncated,
});

export const executionEvent = (event: ExecutionEventRecord) => ({
  sequence: event.sequence,
  type: event.type,
  at: event.at,
  ...given({
    chunk: event.chunk,
    status: event.status,
    exit_code: event.exitCode,
    signal: event.signal,
    error_code: event.errorCode,
    error_message: event.errorMessage,
  }),
});

export const page = <T, W>(result: PageResult<T>, render: (item: T) => W) => ({
  items: result.items.map(render),
  ...(result.nextCursor === undefined ? {} : { next_cursor: result.nextCursor }),
});
