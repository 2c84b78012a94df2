/**
 * The Nullspace wire format of the REST calls: requests and answers as zod schemas. Pure. Requests are strict about
 * what they know and refuse what they do not; answers are tolerant and are turned into our names here, once.
 */
import { z } from "zod";
import type { Open } from "../open";
import {
  type ActorKind,
  type DeliveryStatus,
  lifecycleOperations,
  type LifecycleAudience,
  type LifecycleOperation,
  type LifecycleStatus,
  type MachineState,
  timeoutActions,
  type TimeoutAction,
} from "./rules";

const name = z.string().min(1).max(255);
const envs = z.record(z.string(), z.string());
const metadata = z.record(z.string(), z.unknown());
/** Absent and null are the same. */
const maybe = <T extends z.ZodType>(schema: T) =>
  schema.nullish().transform((value) => value ?? undefined) as z.ZodType<z.infer<T> | undefined>;
const ms = z.int().positive().max(Number.MAX_SAFE_INTEGER);

// ---------------------------------------------------------------- requests

export const egressPolicy = z.strictObject({
  mode: z.enum(["allow_all", "deny_all", "custom"]),
  allow_cidrs: maybe(z.array(z.string())),
  deny_cidrs: maybe(z.array(z.string())),
  rate_limit: maybe(
    z.strictObject({
      kbit_per_sec: maybe(z.int().positive()),
      pps: maybe(z.int().positive()),
      burst: maybe(z.int().positive()),
    }),
  ),
});

export const createMachineRequest = z.strictObject({
  snapshot_id: maybe(name),
  warm_pool: maybe(
    z.strictObject({
      id: maybe(z.string()),
      mode: maybe(z.enum(["prefer", "require", "bypass"])),
      wait_ms: maybe(z.int().nonnegative()),
    }),
  ),
  template: maybe(name),
  vcpus: maybe(z.int().positive()),
  memory_mb: maybe(z.int().positive()),
  disk_mb: maybe(z.int().positive()),
  timeout_ms: maybe(ms),
  timeout_action: maybe(z.enum(timeoutActions)),
  inactivity_timeout_ms: maybe(ms),
  auto_delete_after_ms: maybe(ms),
  ephemeral: maybe(z.boolean()),
  auto_resume: maybe(z.boolean()),
  envs: maybe(envs),
  metadata: maybe(metadata),
  internet_access: maybe(z.boolean()),
  cwd: maybe(z.string()),
  desktop: maybe(z.record(z.string(), z.unknown())),
  network: maybe(
    z.strictObject({
      allow_public_traffic: maybe(z.boolean()),
      mask_request_host: maybe(z.string()),
      egress: maybe(egressPolicy),
      deny_out: maybe(z.array(z.string())),
      allow_out: maybe(z.array(z.string())),
    }),
  ),
  volumes: maybe(
    z.array(
      z.strictObject({
        ref: z.string(),
        mount_path: z.string(),
        subpath: maybe(z.string()),
        read_only: maybe(z.boolean()),
      }),
    ),
  ),
  lifecycle: maybe(z.strictObject({ on_timeout: maybe(z.enum(["destroy", "pause"])) })),
});
export type CreateMachineBody = z.infer<typeof createMachineRequest>;

export const setTimeoutRequest = z.strictObject({
  timeout_ms: ms,
  timeout_action: maybe(z.enum(timeoutActions)),
});

export const updateEgressRequest = z.strictObject({ egress: egressPolicy });

export const hostRequest = z.strictObject({ port: z.int().min(1).max(65_535) });

export const execRequest = z.strictObject({
  command: z.string().min(1),
  args: maybe(z.array(z.string())),
  /** Seconds; default 30. */
  timeout_secs: maybe(z.int().nonnegative()),
  cwd: maybe(z.string()),
  envs: maybe(envs),
  shell: maybe(z.boolean()),
  background: maybe(z.boolean()),
});

export const stdinRequest = z.strictObject({ data: z.string() });

export const resizeRequest = z.strictObject({
  cols: z.int().min(1).max(10_000),
  rows: z.int().min(1).max(10_000),
});

const webhookFields = {
  url: z.string().min(1).max(2048),
  operations: z.array(z.enum(lifecycleOperations)).min(1),
  signing_secret: z.string().min(1).max(1024),
  enabled: z.boolean(),
};
export const createWebhookRequest = z.strictObject({
  ...webhookFields,
  enabled: webhookFields.enabled.optional(),
});
export const updateWebhookRequest = z.strictObject(webhookFields).partial();

// ---------------------------------------------------------------- answers

/** Leaves out members whose value is undefined, so that absent stays absent. */
function defined<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, v]) => v !== undefined)) as never;
}

export interface MachineConfig {
  vcpus?: number;
  memoryMb?: number;
  diskMb?: number;
}

/** A machine as create, get, list, resume and fork answer it (MachineInfo, MachineHandle). */
export interface NullspaceMachine {
  id: string;
  status: Open<MachineState>;
  config: MachineConfig;
  template?: string;
  /** ISO 8601, like every `...At`; absent in the short answers of resume and fork. */
  createdAt?: string;
  metadata?: Record<string, unknown>;
  startedAt?: string;
  /** Milliseconds of a whole lease. */
  timeoutMs?: number;
  timeoutAt?: string;
  /** Milliseconds to `timeoutAt` when the service answered. */
  remainingMs?: number;
  timeoutAction?: Open<TimeoutAction>;
  lastActiveAt?: string;
  inactivityTimeoutMs?: number;
  autoDeleteAfterMs?: number;
  ephemeral?: boolean;
  cwd?: string;
  /** While paused: what `resume` wakes it from. */
  snapshotId?: string;
  trafficAccessToken?: string;
  warmPoolCheckout?: Record<string, unknown>;
  /** The answer as it came, with the fields that this version does not know. */
  raw: Readonly<Record<string, unknown>>;
}

/** What a field mask leaves of a machine. */
export type MachineFields = Partial<Omit<NullspaceMachine, "raw">> & Pick<NullspaceMachine, "raw">;

const machineMembers = {
  id: z.string(),
  status: z.string(),
  config: maybe(
    z.looseObject({
      vcpus: maybe(z.number()),
      memory_mb: maybe(z.number()),
      disk_mb: maybe(z.number()),
    }),
  ),
  template: maybe(z.string()),
  created_at: maybe(z.string()),
  metadata: maybe(metadata),
  started_at: maybe(z.string()),
  timeout_ms: maybe(z.number()),
  timeout_at: maybe(z.string()),
  expires_at: maybe(z.string()),
  remaining_ms: maybe(z.number()),
  timeout_action: maybe(z.string()),
  last_active_at: maybe(z.string()),
  inactivity_timeout_ms: maybe(z.number()),
  auto_delete_after_ms: maybe(z.number()),
  ephemeral: maybe(z.boolean()),
  cwd: maybe(z.string()),
  snapshot_id: maybe(z.string()),
  traffic_access_token: maybe(z.string()),
  warm_pool_checkout: maybe(z.record(z.string(), z.unknown())),
};

type MachineMembers = z.infer<z.ZodObject<typeof machineMembers>>;

const machineFields = (wire: {
  [K in keyof MachineMembers]?: MachineMembers[K] | undefined;
}): MachineFields =>
  defined({
    id: wire.id,
    status: wire.status,
    config:
      wire.config &&
      defined({
        vcpus: wire.config.vcpus,
        memoryMb: wire.config.memory_mb,
        diskMb: wire.config.disk_mb,
      }),
    template: wire.template,
    createdAt: wire.created_at,
    metadata: wire.metadata,
    startedAt: wire.started_at,
    timeoutMs: wire.timeout_ms,
    timeoutAt: wire.timeout_at ?? wire.expires_at,
    remainingMs: wire.remaining_ms,
    timeoutAction: wire.timeout_action,
    lastActiveAt: wire.last_active_at,
    inactivityTimeoutMs: wire.inactivity_timeout_ms,
    autoDeleteAfterMs: wire.auto_delete_after_ms,
    ephemeral: wire.ephemeral,
    cwd: wire.cwd,
    snapshotId: wire.snapshot_id,
    trafficAccessToken: wire.traffic_access_token,
    warmPoolCheckout: wire.warm_pool_checkout,
    raw: wire,
  });

export const machineAnswer = z.looseObject(machineMembers).transform((wire): NullspaceMachine => ({
  id: wire.id,
  status: wire.status,
  ...machineFields(wire),
  config: machineFields(wire).config ?? {},
}));

/** Of a field mask: any member may be missing. */
export const machineFieldsAnswer = z.looseObject(machineMembers).partial().transform(machineFields);

export interface Snapshot {
  id: string;
  machineId: string;
  sizeBytes: number;
  createdAt: string;
  metadata?: Record<string, unknown>;
  /** The answer as it came. */
  raw: Readonly<Record<string, unknown>>;
}

export const snapshotAnswer = z
  .looseObject({
    id: z.string(),
    machine_id: z.string(),
    size_bytes: z.number(),
    created_at: z.string(),
    metadata: maybe(metadata),
  })
  .transform((wire): Snapshot =>
    defined({
      id: wire.id,
      machineId: wire.machine_id,
      sizeBytes: wire.size_bytes,
      createdAt: wire.created_at,
      metadata: wire.metadata,
      raw: wire,
    }),
  );

/** One event of the lifecycle log: the same in history, stream and webhooks. */
export interface LifecycleEvent {
  /** The same everywhere; where the next read goes on. */
  id: string;
  occurredAt: string;
  audience: Open<LifecycleAudience>;
  operation: Open<LifecycleOperation>;
  status: Open<LifecycleStatus>;
  actorKind: Open<ActorKind>;
  metadata: Record<string, unknown>;
  machineId?: string;
  snapshotId?: string;
  sourceMachineId?: string;
  targetMachineId?: string;
  userId?: string;
  reason?: string;
  errorCode?: string;
  errorMessage?: string;
  /** The event as it came. */
  raw: Readonly<Record<string, unknown>>;
}

/** Reads both wordings: `machine_id`, and `sandbox_id` of older documents. */
export const lifecycleEventAnswer = z
  .looseObject({
    id: z.string(),
    occurred_at: z.string(),
    audience: maybe(z.string()),
    operation: z.string(),
    status: z.string(),
    actor_kind: maybe(z.string()),
    metadata: maybe(metadata),
    machine_id: maybe(z.string()),
    sandbox_id: maybe(z.string()),
    snapshot_id: maybe(z.string()),
    source_machine_id: maybe(z.string()),
    source_sandbox_id: maybe(z.string()),
    target_machine_id: maybe(z.string()),
    target_sandbox_id: maybe(z.string()),
    user_id: maybe(z.string()),
    reason: maybe(z.string()),
    error_code: maybe(z.string()),
    error_message: maybe(z.string()),
  })
  .transform((wire): LifecycleEvent =>
    defined({
      id: wire.id,
      occurredAt: wire.occurred_at,
      audience: wire.audience ?? "customer",
      operation: wire.operation,
      status: wire.status,
      actorKind: wire.actor_kind ?? "system",
      metadata: wire.metadata ?? {},
      machineId: wire.machine_id ?? wire.sandbox_id,
      snapshotId: wire.snapshot_id,
      sourceMachineId: wire.source_machine_id ?? wire.source_sandbox_id,
      targetMachineId: wire.target_machine_id ?? wire.target_sandbox_id,
      userId: wire.user_id,
      reason: wire.reason,
      errorCode: wire.error_code,
      errorMessage: wire.error_message,
      raw: wire,
    }),
  );

export interface Webhook {
  id: string;
  url: string;
  operations: Open<LifecycleOperation>[];
  enabled: boolean;
  hasSigningSecret: boolean;
  createdAt: string;
  updatedAt: string;
  lastDeliveryAt?: string;
  lastDeliveryStatus?: Open<DeliveryStatus>;
  lastError?: string;
  /** The answer as it came. */
  raw: Readonly<Record<string, unknown>>;
}

export const webhookAnswer = z
  .looseObject({
    id: z.string(),
    url: z.string(),
    operations: z.array(z.string()),
    enabled: z.boolean(),
    has_signing_secret: z.boolean(),
    created_at: z.string(),
    updated_at: z.string(),
    last_delivery_at: maybe(z.string()),
    last_delivery_status: maybe(z.string()),
    last_error: maybe(z.string()),
  })
  .transform((wire): Webhook =>
    defined({
      id: wire.id,
      url: wire.url,
      operations: wire.operations,
      enabled: wire.enabled,
      hasSigningSecret: wire.has_signing_secret,
      createdAt: wire.created_at,
      updatedAt: wire.updated_at,
      lastDeliveryAt: wire.last_delivery_at,
      lastDeliveryStatus: wire.last_delivery_status,
      lastError: wire.last_error,
      raw: wire,
    }),
  );

export interface Delivery {
  id: string;
  webhookId: string;
  eventId: string;
  operation: Open<LifecycleOperation>;
  /** Of the event. */
  status: Open<LifecycleStatus>;
  deliveryStatus: Open<DeliveryStatus>;
  attemptCount: number;
  createdAt: string;
  nextAttemptAt?: string;
  lastAttemptAt?: string;
  lastResponseStatus?: number;
  lastError?: string;
  /** The answer as it came. */
  raw: Readonly<Record<string, unknown>>;
}

export const deliveryAnswer = z
  .looseObject({
    id: z.string(),
    webhook_id: z.string(),
    event_id: z.string(),
    operation: z.string(),
    status: z.string(),
    delivery_status: z.string(),
    attempt_count: z.number(),
    created_at: z.string(),
    next_attempt_at: maybe(z.string()),
    last_attempt_at: maybe(z.string()),
    last_response_status: maybe(z.number()),
    last_error: maybe(z.string()),
  })
  .transform((wire): Delivery =>
    defined({
      id: wire.id,
      webhookId: wire.webhook_id,
      eventId: wire.event_id,
      operation: wire.operation,
      status: wire.status,
      deliveryStatus: wire.delivery_status,
      attemptCount: wire.attempt_count,
      createdAt: wire.created_at,
      nextAttemptAt: wire.next_attempt_at,
      lastAttemptAt: wire.last_attempt_at,
      lastResponseStatus: wire.last_response_status,
      lastError: wire.last_error,
      raw: wire,
    }),
  );

export interface DeliveryAttempt {
  id: string;
  deliveryId: string;
  /** From 1. */
  attemptNumber: number;
  attemptedAt: string;
  durationMs: number;
  responseStatus?: number;
  errorCode?: string;
  errorMessage?: string;
  /** The answer as it came. */
  raw: Readonly<Record<string, unknown>>;
}

export const attemptAnswer = z
  .looseObject({
    id: z.string(),
    delivery_id: z.string(),
    attempt_number: z.number(),
    attempted_at: z.string(),
    duration_ms: z.number(),
    response_status: maybe(z.number()),
    error_code: maybe(z.string()),
    error_message: maybe(z.string()),
  })
  .transform((wire): DeliveryAttempt =>
    defined({
      id: wire.id,
      deliveryId: wire.delivery_id,
      attemptNumber: wire.attempt_number,
      attemptedAt: wire.attempted_at,
      durationMs: wire.duration_ms,
      responseStatus: wire.response_status,
      errorCode: wire.error_code,
      errorMessage: wire.error_message,
      raw: wire,
    }),
  );
