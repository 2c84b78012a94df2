/**
 * What a dialect asks of the engine. One implementation; both dialects render its records and map its errors.
 */
import type { ExecutionEventRecord, ExecutionRecord, MachineRecord, MachineSize } from "./record";

/** Why the engine refused. A dialect maps each code to its own envelope and status. */
export type RefusalCode =
  | "machine_not_found"
  | "execution_not_found"
  | "invalid_state"
  | "revision_mismatch"
  | "idempotency_key_reused"
  | "idempotency_in_flight"
  | "sleep_hold_window"
  | "insufficient_capacity"
  | "storage_shrink"
  | "resize_failed"
  | "bad_cursor";

export class Refusal extends Error {
  override readonly name = "Refusal";
  constructor(
    readonly code: RefusalCode,
    message: string,
    readonly options: {
      retryable?: boolean;
      retryAfterMs?: number;
      /** Names and values as the DCS contract gives them; values are texts there. */
      details?: Record<string, string>;
    } = {},
  ) {
    super(message);
  }
}

/** An answer, stored under its idempotency key in the transaction of the change it reports. */
export interface StoredAnswer {
  status: number;
  headers: Record<string, string>;
  /** JSON text. */
  body: string;
}

/** How a mutation is made once: the key's scope (who and which route), the key, and the hash of what was asked. */
export interface IdempotentRequest {
  scope: string;
  key: string;
  requestHash: string;
}

/** A revision that the caller decided on, or undefined when it gave none. "*" matches any. */
export type Precondition = string | undefined;

/** `pending` is true while the change has still to converge (202), false when it holds already (200). */
export type Render<T> = (record: T, pending: boolean) => StoredAnswer;

export interface MachineChange {
  vcpu?: number;
  memoryMiB?: number;
  storageGiB?: number;
  autosleepSeconds?: number;
}

export interface PageRequest {
  limit: number;
  /** Opaque; from an earlier page. */
  cursor?: string;
}

export interface PageResult<T> {
  items: T[];
  nextCursor?: string;
}

/** Receives every revision of one machine, in order, none twice. */
export interface RevisionListener {
  (record: MachineRecord): void;
}

export interface Machines {
  create(
    spec: MachineSize & { autosleepSeconds: number },
    request: IdempotentRequest,
    render: Render<MachineRecord>,
  ): Promise<StoredAnswer>;
  /** @throws Refusal machine_not_found. A destroyed machine is found for a day. */
  get(id: string): Promise<MachineRecord>;
  /** Newest first, stable under inserts; destroyed machines are left out. */
  list(page: PageRequest): Promise<PageResult<MachineRecord>>;
  update(
    id: string,
    change: MachineChange,
    request: IdempotentRequest,
    precondition: Precondition,
    render: Render<MachineRecord>,
  ): Promise<StoredAnswer>;
  /** sleep, wake, delete: states a desired state. */
  desire(
    id: string,
    desired: "running" | "sleeping" | "destroyed",
    request: IdempotentRequest,
    precondition: Precondition,
    render: Render<MachineRecord>,
  ): Promise<StoredAnswer>;
  /**
   * Every revision after `afterRevision` and then each new one as it is committed. Without `afterRevision`, or with one
   * that this machine never had, the current revision comes first. Returns what ends it.
   * @throws Refusal machine_not_found.
   */
  follow(id: string, afterRevision: number | undefined, listener: RevisionListener): Promise<() => void>;
}

export interface NewExecution {
  command: string[];
  cwd?: string;
  env: Record<string, string>;
  stdin?: string;
  timeoutMs?: number;
}

export interface Executions {
  /** Wakes a sleeping machine first (`wake_in_progress`). */
  create(
    machineId: string,
    spec: NewExecution,
    request: IdempotentRequest,
    render: Render<ExecutionRecord>,
  ): Promise<StoredAnswer>;
  get(machineId: string, executionId: string): Promise<ExecutionRecord>;
  /** Newest first. */
  list(machineId: string, page: PageRequest): Promise<PageResult<ExecutionRecord>>;
  output(
    machineId: string,
    executionId: string,
  ): Promise<{ record: ExecutionRecord; stdout: string; stderr: string }>;
  /** In order of `sequence`; a cursor stays good while the execution runs, so that a client can follow by paging. */
  events(
    machineId: string,
    executionId: string,
    page: PageRequest,
  ): Promise<PageResult<ExecutionEventRecord>>;
  /** Cancels a running one, removes a finished one; answers it as it then is. */
  remove(machineId: string, executionId: string): Promise<ExecutionRecord>;
}

export interface ControlPlane {
  readonly machines: Machines;
  readonly executions: Executions;
  /** Ends actors, timers and streams; machines keep running and are found again at the next start. */
  close(): Promise<void>;
}
