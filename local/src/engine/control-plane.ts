/**
 * What a dialect asks of the engine. One implementation; both dialects render its records and map its errors.
 */
import type { ActorKind, LifecycleOperation, LifecycleStatus } from "@pulumi-machines/sdk/nullspace/rules";
import type { Files } from "./files/api";
import type { Processes } from "./processes/api";
import type {
  AttemptRecord,
  DeliveryRecord,
  ExecutionEventRecord,
  ExecutionRecord,
  Lease,
  LifecycleEventRecord,
  MachineRecord,
  MachineSize,
  MachineTraits,
  SnapshotRecord,
  WebhookRecord,
} from "./record";
import type { MachineUsage } from "./driver";

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
  | "bad_cursor"
  /** The machine sleeps, fails or ends, and nothing may wake it. */
  | "machine_not_running"
  /** What was asked for could not be brought about; the message has the machine's own words. */
  | "transition_failed"
  | "snapshot_not_found"
  | "snapshot_in_use"
  /** A hibernation wakes its own machine only. */
  | "snapshot_not_reusable"
  | "snapshot_failed"
  | "process_not_found"
  | "process_failed"
  | "stdin_closed"
  | "not_a_terminal"
  | "event_not_found"
  | "webhook_not_found"
  | "delivery_not_found"
  | "webhook_url_refused"
  | "file_not_found"
  | "file_exists"
  | "file_refused"
  | "file_failed"
  | "invalid_argument"
  | "not_supported";

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

/** A machine to be made. What a snapshot (`fromSnapshotId`) gives need not be given here again. */
export interface NewMachine {
  /** All of it without `fromSnapshotId`; with it, what is not that of the snapshot. A disk is never smaller. */
  size?: Partial<MachineSize>;
  autosleepSeconds: number;
  traits?: Partial<MachineTraits>;
  /** For every command. May hold secrets: in no record, event or log. */
  env?: Record<string, string>;
  lease?: Partial<Omit<Lease, "timeoutAt">>;
  fromSnapshotId?: string;
}

/** What of a fork is not as its parent is. */
export interface ForkChange {
  /** A disk is never smaller than the parent's. */
  size?: Partial<MachineSize>;
  autosleepSeconds?: number;
  traits?: Partial<MachineTraits>;
  /** Default: the parent's, begun anew. */
  lease?: Partial<Omit<Lease, "timeoutAt">>;
}

export interface MachineFilter {
  /** Default: every phase but destroyed. */
  phases?: readonly MachineRecord["phase"][];
  template?: string;
  /** Pairs that must all stand in a machine's metadata, compared as JSON values. */
  metadata?: Record<string, unknown>;
}

export interface LeaseChange {
  /** Null is never. */
  timeoutMs: number | null;
  timeoutAction?: Lease["timeoutAction"];
}

/** What makes an activity: commands, files, terminals and forwarded ports. */
export type UseTrigger = "command" | "file" | "terminal" | "port";

export interface Machines {
  /** @throws Refusal snapshot_not_found, snapshot_not_reusable, storage_shrink. */
  create(spec: NewMachine, request: IdempotentRequest, render: Render<MachineRecord>): Promise<StoredAnswer>;
  /**
   * A new machine with the disk that this one has now; accepted when the disk is kept. Running processes are not
   * part of it. @throws Refusal machine_not_found, invalid_state, snapshot_failed, storage_shrink.
   */
  fork(
    id: string,
    request: IdempotentRequest,
    render: Render<MachineRecord>,
    own?: ForkChange,
  ): Promise<StoredAnswer>;
  /** @throws Refusal machine_not_found. A destroyed machine is found for a day. */
  get(id: string): Promise<MachineRecord>;
  /** Newest first, stable under inserts. */
  list(page: PageRequest, filter?: MachineFilter): Promise<PageResult<MachineRecord>>;
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
  /** The same without a key, for callers whose repetition does no harm. @throws Refusal machine_not_found, invalid_state. */
  state(id: string, desired: "running" | "sleeping" | "destroyed", actor?: ActorKind): Promise<MachineRecord>;
  /**
   * Waits until the machine is in the desired state. Resolves with the first record that is.
   * @throws Refusal transition_failed when it fails, or is destroyed or desired otherwise meanwhile; the signal's reason.
   */
  settled(
    id: string,
    desired: "running" | "sleeping" | "destroyed",
    signal: AbortSignal,
  ): Promise<MachineRecord>;
  /**
   * For whoever is about to do something in the machine: counts as activity, waits for a start that is under way, and wakes
   * a sleeping machine whose lease says so. @throws Refusal machine_not_found, machine_not_running, transition_failed.
   */
  use(id: string, trigger: UseTrigger, signal: AbortSignal): Promise<MachineRecord>;
  /** Restarts the lease's clock. @throws Refusal machine_not_found, invalid_state, invalid_argument. */
  setLease(id: string, change: LeaseChange): Promise<MachineRecord>;
  /** @throws Refusal machine_not_found; invalid_state for a machine that runs with the other policy. */
  setEgress(id: string, egress: MachineTraits["egress"]): Promise<MachineRecord>;
  /** @throws Refusal machine_not_found, machine_not_running. */
  usage(id: string): Promise<MachineUsage>;
  /**
   * Every revision after `afterRevision` and then each new one as it is committed. Without `afterRevision`, or with one
   * that this machine never had, the current revision comes first. Returns what ends it.
   * @throws Refusal machine_not_found.
   */
  follow(id: string, afterRevision: number | undefined, listener: RevisionListener): Promise<() => void>;
  /** Every new revision of every machine, as it is committed. Returns what ends it. */
  followAll(listener: RevisionListener): () => void;
}

export interface Snapshots {
  /**
   * Keeps the disk of a machine that runs or sleeps; resolves when it can be used.
   * @param own `metadata`: default the machine's
   * @throws Refusal machine_not_found, invalid_state, snapshot_failed.
   */
  create(
    machineId: string,
    request: IdempotentRequest,
    render: (snapshot: SnapshotRecord) => StoredAnswer,
    own?: { metadata?: Record<string, unknown> },
  ): Promise<StoredAnswer>;
  /** Reusable ones and hibernations. @throws Refusal snapshot_not_found. */
  get(id: string): Promise<SnapshotRecord>;
  /** Newest first. */
  list(filter: { machineId?: string; metadata?: Record<string, unknown> }): Promise<SnapshotRecord[]>;
  /**
   * Machines made from it keep what they need of it.
   * @throws Refusal snapshot_not_found; snapshot_in_use while a machine sleeps on it or is being made from it.
   */
  remove(id: string): Promise<void>;
}

export interface EventFilter {
  operation?: LifecycleOperation;
  status?: LifecycleStatus;
  /** As primary, source or target. */
  machineId?: string;
  /** The primary machine alone; history of the account filters so. */
  primaryMachineId?: string;
  snapshotId?: string;
  sourceMachineId?: string;
  targetMachineId?: string;
  /** ISO 8601, inclusive. */
  from?: string;
  /** ISO 8601, exclusive. */
  to?: string;
  /** Pairs that must all stand in the event's metadata, compared as JSON values. Streams only. */
  metadata?: Record<string, unknown>;
}

export interface FollowEvents {
  filter: EventFilter;
  /** Id of an event: what came after it is replayed, all of it. Without it, the last `replayLimit` events. */
  after?: string;
  /** Nothing is replayed. Not together with `after`. */
  liveOnly?: boolean;
  /** Default 100. */
  replayLimit?: number;
}

/**
 * Gets events in order, each once; the replay waits for what it returns. Whoever has no room for all of them returns a part:
 * nothing is kept for it, what is left is read again.
 */
export type EventListener = (events: readonly LifecycleEventRecord[]) => void | Promise<void> | TakenPart;

export interface TakenPart {
  /** Of the events that it was given, the first ones. */
  taken: number;
  /** Resolves when there is room for more. */
  room: Promise<void>;
}

/** The account's append-only log of what happened to machines and snapshots. */
export interface LifecycleLog {
  page(
    filter: EventFilter,
    page: { offset: number; limit: number; order: "asc" | "desc" },
  ): Promise<{ events: LifecycleEventRecord[]; hasMore: boolean }>;
  /** @throws Refusal event_not_found. */
  get(id: string): Promise<LifecycleEventRecord>;
  /**
   * Replays, then goes on live: no event is left out and none comes twice, at whatever moment it joins. Returns what ends it.
   * @throws Refusal event_not_found: `after` is not in the log (any more).
   */
  follow(options: FollowEvents, listener: EventListener): Promise<() => void>;
}

export interface NewWebhook {
  url: string;
  operations: LifecycleOperation[];
  signingSecret: string;
  enabled: boolean;
}

export interface Webhooks {
  /** @throws Refusal webhook_url_refused: not https, or an address that must not be reached from here. */
  create(webhook: NewWebhook): Promise<WebhookRecord>;
  list(): Promise<WebhookRecord[]>;
  /** @throws Refusal webhook_not_found. */
  get(id: string): Promise<WebhookRecord>;
  /** @throws Refusal webhook_not_found, webhook_url_refused. */
  update(id: string, change: Partial<NewWebhook>): Promise<WebhookRecord>;
  /** What waits to be delivered is dropped. @throws Refusal webhook_not_found. */
  remove(id: string): Promise<void>;
  /** Newest first. @throws Refusal webhook_not_found. */
  deliveries(id: string, page: { offset: number; limit: number }): Promise<DeliveryRecord[]>;
  /** @throws Refusal webhook_not_found, delivery_not_found. */
  delivery(
    id: string,
    deliveryId: string,
  ): Promise<{ delivery: DeliveryRecord; event: LifecycleEventRecord; attempts: AttemptRecord[] }>;
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
  readonly snapshots: Snapshots;
  readonly executions: Executions;
  readonly processes: Processes;
  readonly files: Files;
  readonly lifecycle: LifecycleLog;
  readonly webhooks: Webhooks;
  /** Ends actors, timers and streams; machines keep running and are found again at the next start. */
  close(): Promise<void>;
}
