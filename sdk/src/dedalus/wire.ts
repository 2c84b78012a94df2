/**
 * The DCS wire format: requests, answers and error envelopes as zod schemas, with the renaming from
 * `snake_case` to our names done here, once. Pure. Requests are strict (an unknown field is refused), answers
 * are tolerant (unknown fields stay, unknown enum values stay, all three API generations parse).
 */
import { z } from "zod";
import type { DesiredState, ExecutionStatus, Open, Phase } from "./rules";

/** `dm-` ids of the current API, 4 to 253 characters (MachineIDPathSegment). */
export const machineIdPattern = /^dm-[a-z0-9]([a-z0-9-]*[a-z0-9])?$/;
export const isMachineId = (value: string): boolean =>
  value.length >= 4 && value.length <= 253 && machineIdPattern.test(value);

// ---------------------------------------------------------------- requests

export const createMachineRequest = z.strictObject({
  vcpu: z.number(),
  memory_mib: z.int(),
  storage_gib: z.int(),
  autosleep: z.string().optional(),
});

export const updateMachineRequest = createMachineRequest.partial();

export const createExecutionRequest = z.strictObject({
  command: z.array(z.string()).min(1),
  cwd: z.string().optional(),
  env: z.record(z.string(), z.string()).optional(),
  stdin: z.string().optional(),
  timeout_ms: z.int().positive().optional(),
});

// ---------------------------------------------------------------- answers: machines

/** Optional on the wire: absent and null are the same to us. */
const maybe = <T extends z.ZodType>(schema: T) =>
  schema.nullish().transform((value) => value ?? undefined) as z.ZodType<z.infer<T> | undefined>;

const statusFields = z.looseObject({
  phase: z.string(),
  reason: maybe(z.string()),
  last_error: maybe(z.string()),
  retryable: maybe(z.boolean()),
  revision: maybe(z.string()),
  last_transition_at: maybe(z.string()),
  last_progress_at: maybe(z.string()),
});

const machineFields = z.looseObject({
  machine_id: z.string(),
  vcpu: z.number(),
  memory_mib: z.number(),
  storage_gib: z.number(),
  autosleep_seconds: maybe(z.number()),
  desired_state: z.string(),
  status: maybe(statusFields),
  phase: maybe(z.string()),
  created_at: maybe(z.string()),
});

/** Observed status of a machine (LifecycleStatus). */
export interface MachineStatus {
  phase: Open<Phase>;
  /** Why the machine is in this phase; empty when the service gives none. */
  reason: string;
  lastError?: string;
  /** True when stating the desire again may help. */
  retryable: boolean;
  /** Opaque and increasing; undefined where an API generation sends none. */
  revision?: string;
  /** ISO 8601. */
  lastTransitionAt?: string;
  /** ISO 8601. */
  lastProgressAt?: string;
}

/** A machine as every lifecycle call answers it (LifecycleResponse, MachineListItem). */
export interface Machine {
  machineId: string;
  vcpu: number;
  memoryMiB: number;
  storageGiB: number;
  /** Seconds of inactivity before the machine sleeps; 0 is never; undefined where an API generation sends none. */
  autosleepSeconds?: number;
  desiredState: Open<DesiredState>;
  status: MachineStatus;
  /** ISO 8601; in lists only. */
  createdAt?: string;
  /** The service's name for the request that answered this; set by the client. */
  requestId?: string;
  /** The answer as it came, with the fields that this version does not know. */
  raw: Readonly<Record<string, unknown>>;
}

/** Leaves out members whose value is undefined, so that absent stays absent. */
function defined<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, v]) => v !== undefined)) as never;
}

/** Any generation's machine answer: `status` object, or the flat `phase` of the newest one. */
export const machineAnswer = machineFields
  .refine((wire) => wire.status !== undefined || wire.phase !== undefined, {
    error: "neither status nor phase is present",
  })
  .transform((wire): Machine => {
    const status = wire.status;
    return defined({
      machineId: wire.machine_id,
      vcpu: wire.vcpu,
      memoryMiB: wire.memory_mib,
      storageGiB: wire.storage_gib,
      autosleepSeconds: wire.autosleep_seconds,
      desiredState: wire.desired_state,
      status: defined({
        phase: status?.phase ?? wire.phase ?? "",
        reason: status?.reason ?? "",
        lastError: status?.last_error,
        retryable: status?.retryable ?? false,
        revision: status?.revision,
        lastTransitionAt: status?.last_transition_at,
        lastProgressAt: status?.last_progress_at,
      }),
      createdAt: wire.created_at,
      raw: wire,
    });
  });

export interface Page<T> {
  items: T[];
  nextCursor?: string;
}

/** A cursor page; `items: null` is an empty page, an empty cursor is the last page. */
export const pageAnswer = <T>(item: z.ZodType<T>) =>
  z
    .looseObject({ items: z.array(item).nullish(), next_cursor: z.string().nullish() })
    .transform((wire): Page<T> => ({
      items: wire.items ?? [],
      ...(wire.next_cursor ? { nextCursor: wire.next_cursor } : {}),
    }));

// ---------------------------------------------------------------- answers: executions

export interface Execution {
  executionId: string;
  machineId: string;
  status: Open<ExecutionStatus>;
  command: string[];
  cwd?: string;
  /** Names only; the service never answers values. */
  envKeys?: string[];
  /** ISO 8601. */
  createdAt: string;
  startedAt?: string;
  completedAt?: string;
  expiresAt?: string;
  exitCode?: number;
  signal?: number;
  errorCode?: string;
  errorMessage?: string;
  stdoutBytes?: number;
  stderrBytes?: number;
  stdoutTruncated?: boolean;
  stderrTruncated?: boolean;
  /** When to ask again while the machine wakes, in milliseconds. */
  retryAfterMs?: number;
  /** The service's name for the request that answered this; set by the client. */
  requestId?: string;
  raw: Readonly<Record<string, unknown>>;
}

export const executionAnswer = z
  .looseObject({
    execution_id: z.string(),
    machine_id: z.string(),
    status: z.string(),
    command: z.array(z.string()).nullish(),
    cwd: maybe(z.string()),
    env_keys: maybe(z.array(z.string())),
    created_at: z.string(),
    started_at: maybe(z.string()),
    completed_at: maybe(z.string()),
    expires_at: maybe(z.string()),
    exit_code: maybe(z.number()),
    signal: maybe(z.number()),
    error_code: maybe(z.string()),
    error_message: maybe(z.string()),
    stdout_bytes: maybe(z.number()),
    stderr_bytes: maybe(z.number()),
    stdout_truncated: maybe(z.boolean()),
    stderr_truncated: maybe(z.boolean()),
    retry_after_ms: maybe(z.number()),
  })
  .transform(
    (wire): Execution =>
      defined({
        executionId: wire.execution_id,
        machineId: wire.machine_id,
        status: wire.status,
        command: wire.command ?? [],
        cwd: wire.cwd,
        envKeys: wire.env_keys,
        createdAt: wire.created_at,
        startedAt: wire.started_at,
        completedAt: wire.completed_at,
        expiresAt: wire.expires_at,
        exitCode: wire.exit_code,
        signal: wire.signal,
        errorCode: wire.error_code,
        errorMessage: wire.error_message,
        stdoutBytes: wire.stdout_bytes,
        stderrBytes: wire.stderr_bytes,
        stdoutTruncated: wire.stdout_truncated,
        stderrTruncated: wire.stderr_truncated,
        retryAfterMs: wire.retry_after_ms,
        raw: wire,
      }) as Execution,
  );

export interface ExecutionOutput {
  executionId: string;
  stdout: string;
  stderr: string;
  stdoutBytes: number;
  stderrBytes: number;
  stdoutTruncated: boolean;
  stderrTruncated: boolean;
}

export const executionOutputAnswer = z
  .looseObject({
    execution_id: z.string(),
    stdout: maybe(z.string()),
    stderr: maybe(z.string()),
    stdout_bytes: maybe(z.number()),
    stderr_bytes: maybe(z.number()),
    stdout_truncated: maybe(z.boolean()),
    stderr_truncated: maybe(z.boolean()),
  })
  .transform((wire): ExecutionOutput => ({
    executionId: wire.execution_id,
    stdout: wire.stdout ?? "",
    stderr: wire.stderr ?? "",
    stdoutBytes: wire.stdout_bytes ?? 0,
    stderrBytes: wire.stderr_bytes ?? 0,
    stdoutTruncated: wire.stdout_truncated ?? false,
    stderrTruncated: wire.stderr_truncated ?? false,
  }));

export interface ExecutionEvent {
  /** Increasing within one execution. */
  sequence: number;
  type: Open<"lifecycle" | "stdout" | "stderr">;
  /** ISO 8601. */
  at: string;
  chunk?: string;
  status?: Open<ExecutionStatus>;
  exitCode?: number;
  signal?: number;
  errorCode?: string;
  errorMessage?: string;
}

export const executionEventAnswer = z
  .looseObject({
    sequence: z.number(),
    type: z.string(),
    at: z.string(),
    chunk: maybe(z.string()),
    status: maybe(z.string()),
    exit_code: maybe(z.number()),
    signal: maybe(z.number()),
    error_code: maybe(z.string()),
    error_message: maybe(z.string()),
  })
  .transform(
    (wire): ExecutionEvent =>
      defined({
        sequence: wire.sequence,
        type: wire.type,
        at: wire.at,
        chunk: wire.chunk,
        status: wire.status,
        exitCode: wire.exit_code,
        signal: wire.signal,
        errorCode: wire.error_code,
        errorMessage: wire.error_message,
      }) as ExecutionEvent,
  );

// ---------------------------------------------------------------- errors

/** Body A, `application/json`: 401, 403, 409, 429, 503. */
export const errorBody = z.looseObject({
  error_code: z.string(),
  message: z.string(),
  retryable: z.boolean(),
  retry_after_ms: maybe(z.number()),
  details: maybe(z.record(z.string(), z.string())),
});
export type ErrorBody = z.infer<typeof errorBody>;

/** Body B, `application/problem+json`: everything else. */
export const problemBody = z.looseObject({
  title: maybe(z.string()),
  status: maybe(z.number()),
  detail: maybe(z.string()),
  errors: maybe(
    z.array(
      z.looseObject({
        message: maybe(z.string()),
        location: maybe(z.string()),
        value: z.unknown().optional(),
      }),
    ),
  ),
});
export type ProblemBody = z.infer<typeof problemBody>;
