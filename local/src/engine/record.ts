/** What the engine knows of a machine and of an execution: the rows that every dialect renders. */
import type { DesiredState, ExecutionStatus, Phase } from "@pulumi-machines/sdk/dedalus/rules";
import type {
  ActorKind,
  DeliveryStatus,
  LifecycleOperation,
  LifecycleStatus,
  TimeoutAction,
} from "@pulumi-machines/sdk/nullspace/rules";

export interface MachineSize {
  /** vCPUs, in quarters. */
  vcpu: number;
  memoryMiB: number;
  storageGiB: number;
}

/** What ends a machine's run by itself, and what then. Every limit in milliseconds; null is never. */
export interface Lease {
  /** Counted from the start, a resume, or the last time that it was set. */
  timeoutMs: number | null;
  /** ISO 8601; null while the machine does not run. */
  timeoutAt: string | null;
  timeoutAction: TimeoutAction;
  /** Without activity; runs the timeout's action. */
  inactivityTimeoutMs: number | null;
  /** In the phase `sleeping`; destroys. */
  autoDeleteAfterMs: number | null;
  /** Destroyed, never put to sleep, by its limits. */
  ephemeral: boolean;
  /** Woken by a command, a file call or a terminal. */
  autoResume: boolean;
}

/** Never sleeps and never ends by itself. */
export const noLease: Lease = {
  timeoutMs: null,
  timeoutAt: null,
  timeoutAction: "destroy",
  inactivityTimeoutMs: null,
  autoDeleteAfterMs: null,
  ephemeral: false,
  autoResume: false,
};

/** What a machine is made with besides its size. */
export interface MachineTraits {
  /** The only one here is "base". */
  template: string;
  /** The user's own object, as given. */
  metadata: Record<string, unknown>;
  /** Absolute; where commands start. Null is root's home. */
  cwd: string | null;
  /** "deny_all": a network of its own with loopback only. */
  egress: "allow_all" | "deny_all";
}

/** A change of a machine's life that is under way; the lifecycle log reports its end. */
export type MachineOperation = Extract<
  LifecycleOperation,
  "create" | "fork" | "hibernate" | "resume_from_snapshot" | "destroy" | "reconcile"
>;

export interface MachineRecord extends MachineSize, MachineTraits {
  /** Without a dialect's prefix: lower case letters and digits. */
  id: string;
  /** Seconds without activity before the machine sleeps by itself; 0 is never. */
  autosleepSeconds: number;
  desiredState: DesiredState;
  phase: Phase;
  reason: string;
  lastError: string | null;
  retryable: boolean;
  /** Counts every change of this machine, from 1. */
  revision: number;
  /** ISO 8601, like every `...At`. */
  lastTransitionAt: string;
  lastProgressAt: string;
  createdAt: string;
  lastActivityAt: string;
  lastWakeAt: string | null;
  lease: Lease;
  /** Whose disk the first start copies. */
  fromSnapshotId: string | null;
  forkedFromId: string | null;
  /** When it first ran. */
  firstRunningAt: string | null;
  /** While it sleeps: the snapshot that stands for its sleep. */
  hibernationId: string | null;
  /** Null while nothing is under way. */
  operation: MachineOperation | null;
  operationActor: ActorKind;
}

export interface SnapshotRecord {
  id: string;
  machineId: string;
  /** "hibernation" wakes its own machine only; "fork" lives until the machine made from it has its disk. */
  kind: "reusable" | "hibernation" | "fork";
  sizeBytes: number;
  createdAt: string;
  metadata: Record<string, unknown>;
  /** Size and traits of the machine when it was taken: what a machine made from it gets. */
  spec: MachineSize & MachineTraits;
}

/** One event of the account's lifecycle log. Ids are the engine's own, without a dialect's prefix. */
export interface LifecycleEventRecord {
  /** Place in the log: increasing in the order of the commits. */
  sequence: number;
  /** UUID. */
  id: string;
  occurredAt: string;
  operation: LifecycleOperation;
  status: LifecycleStatus;
  actorKind: ActorKind;
  machineId: string | null;
  snapshotId: string | null;
  sourceMachineId: string | null;
  targetMachineId: string | null;
  reason: string | null;
  errorCode: string | null;
  errorMessage: string | null;
  metadata: Record<string, unknown>;
}

export interface WebhookRecord {
  /** UUID, like the ids of deliveries and attempts. */
  id: string;
  url: string;
  operations: LifecycleOperation[];
  enabled: boolean;
  createdAt: string;
  updatedAt: string;
  lastDeliveryAt: string | null;
  lastDeliveryStatus: DeliveryStatus | null;
  lastError: string | null;
}

export interface DeliveryRecord {
  id: string;
  webhookId: string;
  eventId: string;
  operation: LifecycleOperation;
  /** Of the event. */
  status: LifecycleStatus;
  deliveryStatus: DeliveryStatus;
  attemptCount: number;
  createdAt: string;
  nextAttemptAt: string | null;
  lastAttemptAt: string | null;
  lastResponseStatus: number | null;
  lastError: string | null;
}

export interface AttemptRecord {
  id: string;
  deliveryId: string;
  /** From 1. */
  attemptNumber: number;
  attemptedAt: string;
  durationMs: number;
  responseStatus: number | null;
  errorCode: string | null;
  errorMessage: string | null;
}

export interface ExecutionRecord {
  id: string;
  machineId: string;
  status: ExecutionStatus;
  command: string[];
  cwd: string | null;
  /** Names only: values are kept until the command has started, then dropped. */
  envKeys: string[];
  timeoutMs: number | null;
  createdAt: string;
  startedAt: string | null;
  completedAt: string | null;
  expiresAt: string | null;
  exitCode: number | null;
  signal: number | null;
  errorCode: string | null;
  errorMessage: string | null;
  /** Bytes that the command wrote, kept or not. */
  stdoutBytes: number;
  stderrBytes: number;
  stdoutTruncated: boolean;
  stderrTruncated: boolean;
}

export interface ExecutionEventRecord {
  sequence: number;
  type: "lifecycle" | "stdout" | "stderr";
  at: string;
  chunk?: string;
  status?: ExecutionStatus;
  exitCode?: number;
  signal?: number;
  errorCode?: string;
  errorMessage?: string;
}
