/** The tables, as the query builder types them. Flags are 0 and 1 and times ISO texts, the same in both stores. */
import type { DesiredState, ExecutionStatus, Phase } from "@pulumi-machines/sdk/dedalus/rules";
import type {
  ActorKind,
  DeliveryStatus,
  LifecycleOperation,
  LifecycleStatus,
  TimeoutAction,
} from "@pulumi-machines/sdk/nullspace/rules";
import type { Generated } from "kysely";

export interface MachinesTable {
  id: string;
  /** Order of creation, for pages that stay stable under inserts. */
  seq: Generated<number>;
  vcpu: number;
  memory_mib: number;
  storage_gib: number;
  autosleep_seconds: number;
  desired_state: DesiredState;
  phase: Phase;
  reason: string;
  last_error: string | null;
  retryable: number;
  revision: number;
  last_transition_at: string;
  last_progress_at: string;
  created_at: string;
  last_activity_at: string;
  last_wake_at: string | null;
  template: string;
  /** JSON object. */
  metadata: string;
  cwd: string | null;
  egress: "allow_all" | "deny_all";
  /** JSON of the variables that every command gets. In no record and no log, since they may be secrets. */
  env: Generated<string>;
  timeout_ms: number | null;
  timeout_at: string | null;
  timeout_action: TimeoutAction;
  inactivity_timeout_ms: number | null;
  auto_delete_after_ms: number | null;
  ephemeral: number;
  auto_resume: number;
  from_snapshot_id: string | null;
  forked_from_id: string | null;
  first_running_at: string | null;
  hibernation_id: string | null;
  operation: string | null;
  operation_actor: ActorKind;
}

export interface SnapshotsTable {
  id: string;
  seq: Generated<number>;
  machine_id: string;
  kind: "reusable" | "hibernation" | "fork";
  size_bytes: number;
  created_at: string;
  /** JSON object. */
  metadata: string;
  /** JSON of the machine's size and traits. */
  spec: string;
  /** JSON of the machine's variables. */
  env: string;
  /** 0: it is being taken. */
  ready: number;
}

/** Append-only; `seq` increases in the order of the commits, by one. Old events go from its beginning. */
export interface LifecycleEventsTable {
  seq: number;
  id: string;
  occurred_at: string;
  operation: LifecycleOperation;
  status: LifecycleStatus;
  actor_kind: ActorKind;
  machine_id: string | null;
  snapshot_id: string | null;
  source_machine_id: string | null;
  target_machine_id: string | null;
  reason: string | null;
  error_code: string | null;
  error_message: string | null;
  /** JSON object. */
  metadata: string;
}

/** Every machine that an event is about, as primary, source or target: once each. */
export interface LifecycleMachinesTable {
  machine_id: string;
  seq: number;
}

export interface WebhooksTable {
  id: string;
  seq: Generated<number>;
  url: string;
  /** JSON of the names. */
  operations: string;
  signing_secret: string;
  enabled: number;
  created_at: string;
  updated_at: string;
  last_delivery_at: string | null;
  last_delivery_status: DeliveryStatus | null;
  last_error: string | null;
}

export interface DeliveriesTable {
  id: string;
  seq: Generated<number>;
  webhook_id: string;
  event_id: string;
  /** Of the event, for the order of one machine's deliveries. */
  event_seq: number;
  machine_id: string | null;
  operation: LifecycleOperation;
  status: LifecycleStatus;
  delivery_status: DeliveryStatus;
  attempt_count: number;
  created_at: string;
  next_attempt_at: string | null;
  last_attempt_at: string | null;
  last_response_status: number | null;
  last_error: string | null;
}

export interface DeliveryAttemptsTable {
  id: string;
  delivery_id: string;
  attempt_number: number;
  attempted_at: string;
  duration_ms: number;
  response_status: number | null;
  error_code: string | null;
  error_message: string | null;
}

/** Append-only: one row for each revision of a machine, with the whole record as it then was. */
export interface RevisionsTable {
  machine_id: string;
  revision: number;
  at: string;
  /** JSON of a MachineRecord. */
  record: string;
}

export interface IdempotencyTable {
  scope: string;
  key: string;
  request_hash: string;
  status: number;
  /** JSON of a header table. */
  headers: string;
  body: string;
  created_at: string;
}

export interface ExecutionsTable {
  id: string;
  seq: Generated<number>;
  machine_id: string;
  status: ExecutionStatus;
  /** JSON of argv. */
  command: string;
  cwd: string | null;
  /** JSON of the names. */
  env_keys: string;
  timeout_ms: number | null;
  created_at: string;
  started_at: string | null;
  completed_at: string | null;
  expires_at: string | null;
  exit_code: number | null;
  signal: number | null;
  error_code: string | null;
  error_message: string | null;
  stdout_bytes: number;
  stderr_bytes: number;
  stdout_truncated: number;
  stderr_truncated: number;
  /** JSON of env values and stdin, until the command has started; then null, since they may be secrets. */
  launch: string | null;
  /** JSON of { cols, rows, sessionId } of a terminal; null for a plain command. */
  terminal: string | null;
  /** 1: stdin stays open for what is sent later. */
  open_stdin: Generated<number>;
  /** The command as its user wrote it, where that is not argv. */
  display: string | null;
}

export interface ExecutionEventsTable {
  execution_id: string;
  sequence: number;
  type: "lifecycle" | "stdout" | "stderr";
  at: string;
  /** Bytes [from_byte, to_byte) of the output file; null for a lifecycle event. */
  from_byte: number | null;
  to_byte: number | null;
  status: ExecutionStatus | null;
  exit_code: number | null;
  signal: number | null;
  error_code: string | null;
  error_message: string | null;
}

export interface Schema {
  machines: MachinesTable;
  revisions: RevisionsTable;
  idempotency: IdempotencyTable;
  executions: ExecutionsTable;
  execution_events: ExecutionEventsTable;
  snapshots: SnapshotsTable;
  lifecycle_events: LifecycleEventsTable;
  lifecycle_machines: LifecycleMachinesTable;
  webhooks: WebhooksTable;
  deliveries: DeliveriesTable;
  delivery_attempts: DeliveryAttemptsTable;
}
