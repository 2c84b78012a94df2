/** The engine's records in the words of the DCS contract. */
import { wakeRetryMs } from "../../engine/executions";
import type { PageResult, Render, StoredAnswer } from "../../engine/control-plane";
import type { ExecutionEventRecord, ExecutionRecord, MachineRecord } from "../../engine/record";

const idPrefix = "dm-";

export const machineId = (record: Pick<MachineRecord, "id">): string => `${idPrefix}${record.id}`;
/** The engine's id of a machine that a path names. */
export const engineId = (id: string): string => id.slice(idPrefix.length);

export interface RenderOptions {
  /** Adds the flat `phase` of the newest API generation. */
  flatPhase: boolean;
}

/** LifecycleResponse: exactly its fields. */
export const lifecycle = (machine: MachineRecord, { flatPhase }: RenderOptions) => ({
  machine_id: machineId(machine),
  vcpu: machine.vcpu,
  memory_mib: machine.memoryMiB,
  storage_gib: machine.storageGiB,
  autosleep_seconds: machine.autosleepSeconds,
  desired_state: machine.desiredState,
  status: {
    phase: machine.phase,
    reason: machine.reason,
    ...(machine.lastError === null ? {} : { last_error: machine.lastError }),
    retryable: machine.retryable,
    revision: String(machine.revision),
    last_transition_at: machine.lastTransitionAt,
    last_progress_at: machine.lastProgressAt,
  },
  ...(flatPhase ? { phase: machine.phase } : {}),
});

/** MachineListItem */
export const listItem = (machine: MachineRecord, options: RenderOptions) => ({
  ...lifecycle(machine, options),
  created_at: machine.createdAt,
});

export const etag = (machine: MachineRecord): string => `"${String(machine.revision)}"`;

/**
 * The answer of a call that changes a machine: 202 while the change converges, 200 when it holds. The contract's
 * X-Dedalus-Storage-Operation-Id may be null: storage here has no operations that could be asked about.
 */
export const machineAnswer =
  (options: RenderOptions): Render<MachineRecord> =>
  (machine, pending): StoredAnswer => ({
    status: pending ? 202 : 200,
    headers: { "content-type": "application/json", etag: etag(machine) },
    body: JSON.stringify(lifecycle(machine, options)),
  });

/** Leaves out what is null: the contract's optional fields are absent, never null. */
const present = <T extends object>(value: T) =>
  Object.fromEntries(Object.entries(value).filter(([, field]) => field !== null && field !== undefined));

/** ExecutionResponse */
export const execution = (record: ExecutionRecord) => ({
  execution_id: record.id,
  machine_id: machineId({ id: record.machineId }),
  status: record.status,
  command: record.command,
  created_at: record.createdAt,
  env_keys: record.envKeys,
  artifacts: [],
  stdout_bytes: record.stdoutBytes,
  stderr_bytes: record.stderrBytes,
  stdout_truncated: record.stdoutTruncated,
  stderr_truncated: record.stderrTruncated,
  ...present({
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

/** Always 200: the contract has no other for an execution. */
export const executionAnswer: Render<ExecutionRecord> = (record) => ({
  status: 200,
  headers: { "content-type": "application/json" },
  body: JSON.stringify(execution(record)),
});

/** ExecutionOutputResponse */
export const executionOutput = (record: ExecutionRecord, stdout: string, stderr: string) => ({
  execution_id: record.id,
  stdout,
  stderr,
  stdout_bytes: record.stdoutBytes,
  stderr_bytes: record.stderrBytes,
  stdout_truncated: record.stdoutTruncated,
  stderr_truncated: record.stderrTruncated,
});

/** ExecutionEvent */
export const executionEvent = (event: ExecutionEventRecord) => ({
  sequence: event.sequence,
  type: event.type,
  at: event.at,
  ...present({
    chunk: event.chunk,
    status: event.status,
    exit_code: event.exitCode,
    signal: event.signal,
    error_code: event.errorCode,
    error_message: event.errorMessage,
  }),
});

export const page = <T, W>({ items, nextCursor }: PageResult<T>, item: (record: T) => W) => ({
  items: items.map(item),
  ...(nextCursor === undefined ? {} : { next_cursor: nextCursor }),
});
