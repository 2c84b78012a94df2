/** The tables, as the query builder types them. Flags are 0 and 1 and times ISO texts, the same in both stores. */
import type { DesiredState, ExecutionStatus, Phase } from "@pulumi-machines/sdk/dedalus/rules";
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
}
