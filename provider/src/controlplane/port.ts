/**
 * What the resources need of a cloud: the verbs, and what a machine looks like. Each backend has one adapter.
 * Domain language only; wire names stop at the adapters.
 */
import type { DesiredState, Open, Phase } from "@pulumi-machines/sdk/dedalus/rules";
import type { Backend, Capabilities } from "./capabilities";
import type { CommandPort } from "./command-port";
import type { EventPort } from "./event-port";
import type { FilePort } from "./file-port";
import type { SnapshotPort } from "./snapshot-port";
import type { WebhookPort } from "./webhook-port";

export interface MachineView {
  id: string;
  phase: Open<Phase>;
  desiredState: Open<DesiredState>;
  reason: string;
  lastError?: string;
  retryable: boolean;
  /** Opaque; empty where a service sends none. */
  revision: string;
  vcpu: number;
  memoryMiB: number;
  /** Undefined where a service does not say. */
  storageGiB?: number;
  /** 0 is never; undefined where a service does not say. */
  autosleepSeconds?: number;
  /** ISO 8601. */
  createdAt?: string;
  lastTransitionAt?: string;
  /** Of the answer that this view came from, where there is one. */
  requestId?: string;
}

/** What ends a machine's run by itself. Durations in the grammar of `duration.ts`. */
export interface Lifetime {
  /** From the start, or from the last wake; "never" for none. */
  timeout?: string;
  /** What then; the default is "sleep". */
  then?: "sleep" | "destroy";
  /** Without activity; `then` is done. */
  inactivity?: string;
  /** Asleep for this long: it is destroyed. */
  deleteAfterSleeping?: string;
}

export interface Network {
  egress?: {
    mode: "allow_all" | "deny_all" | "custom";
    allowCidrs?: string[];
    denyCidrs?: string[];
    rateLimit?: { kbitPerSec?: number; pps?: number; burst?: number };
  };
  /** False: ports need a token. */
  allowPublicTraffic?: boolean;
  maskRequestHost?: string;
}

/** What a machine is made from, instead of a template. */
export type Source = { snapshot: string } | { machine: string };

export interface MachineSpec {
  /** Sizes are absent where the source decides them. */
  vcpu?: number;
  memoryMiB?: number;
  storageGiB?: number;
  /** As the user wrote it, in the grammar of `duration.ts`; undefined is the service's default. */
  autosleep?: string;
  template?: string;
  from?: Source;
  env?: Record<string, string>;
  cwd?: string;
  /** The user's own pairs. */
  metadata?: Record<string, unknown>;
  /** Which resource of which stack this is; kept with the metadata where a backend has it. */
  tags?: Tags;
  lifetime?: Lifetime;
  ephemeral?: boolean;
  autoResume?: boolean;
  network?: Network;
}

/** What can be changed on a machine that is there; which of it a backend can is in `machine/changes.ts`. */
export type MachineChange = Pick<
  MachineSpec,
  "vcpu" | "memoryMiB" | "storageGiB" | "autosleep" | "lifetime" | "network"
>;

/** Flat pairs within the metadata, so that lists can select by each; see `tags.ts`. */
export type Tags = Readonly<Record<string, string>>;

/** All that a backend tells of a machine; a plain view has only what convergence needs. */
export interface MachineDetails extends MachineView {
  template?: string;
  cwd?: string;
  /** The user's own pairs, without the tags. */
  metadata: Record<string, unknown>;
  tags: Tags;
  /** Durations as the service has them, written as texts. */
  lifetime?: Lifetime;
  ephemeral?: boolean;
  /** When its timeout ends it; ISO 8601. */
  expiresAt?: string;
  lastActiveAt?: string;
}

export interface MachineFilter {
  /** Default those that live: all but destroyed. */
  phases?: readonly string[];
  template?: string;
  /** Machines that have all these pairs. */
  metadata?: Record<string, unknown>;
  tags?: Tags;
}

export interface CallOptions {
  signal: AbortSignal;
}

export interface MutationOptions extends CallOptions {
  /** Made before the first attempt; the same for every attempt at the same change. */
  idempotencyKey: string;
}

/** The service knows no such machine, or it is destroyed. */
export class MachineGoneError extends Error {
  override readonly name = "MachineGoneError";
  readonly code = "machine_gone";
  constructor(
    readonly machineId: string,
    options?: ErrorOptions,
  ) {
    super(`machine ${machineId} does not exist any more`, options);
  }
}

/** The key was used before with another request: a machine may exist that was asked for differently. */
export class KeyReusedError extends Error {
  override readonly name = "KeyReusedError";
  readonly code = "idempotency_key_reused";
}

/** The service refused, or did not answer. Adapters translate every other failure of their client into this. */
export class RefusedError extends Error {
  override readonly name: string = "RefusedError";
  /** The service's own code (`INVALID_STATE`) or one of ours in lower case (`connection_refused`). */
  readonly code: string;
  /** True when the same request may succeed later. */
  readonly retryable: boolean;
  /** How long the service asks to wait first, in milliseconds. */
  readonly retryAfterMs: number | undefined;
  readonly requestId: string | undefined;
  constructor(
    message: string,
    facts: { code: string; retryable: boolean; retryAfterMs?: number; requestId?: string; cause?: unknown },
  ) {
    super(message, { cause: facts.cause });
    this.code = facts.code;
    this.retryable = facts.retryable;
    this.retryAfterMs = facts.retryAfterMs;
    this.requestId = facts.requestId;
  }
}

export interface ControlPlane {
  readonly backend: Backend;
  readonly capabilities: Capabilities;
  /**
   * Makes sure that the address is that of this API: elsewhere everything would look as if it were gone. Whatever else is
   * wrong there is for the operation itself to meet. @throws RefusedError `wrong_endpoint`
   */
  verify(options: CallOptions): Promise<void>;
  /** Answers as soon as the service names an id; a repeated key answers the same machine. @throws KeyReusedError */
  createMachine(spec: MachineSpec, options: MutationOptions): Promise<MachineView>;
  /** @throws MachineGoneError */
  getMachine(id: string, options: CallOptions): Promise<MachineView>;
  /** @throws MachineGoneError */
  describeMachine(id: string, options: CallOptions): Promise<MachineDetails>;
  /** A filter that the backend has no words for is applied here. */
  listMachines(filter: MachineFilter, options: CallOptions): AsyncIterable<MachineDetails>;
  /** Sends only what is given. @throws MachineGoneError */
  updateMachine(id: string, change: MachineChange, options: MutationOptions): Promise<MachineView>;
  sleepMachine(id: string, options: MutationOptions): Promise<MachineView>;
  wakeMachine(id: string, options: MutationOptions): Promise<MachineView>;
  /** Not found is success: answers undefined. */
  deleteMachine(id: string, options: MutationOptions): Promise<MachineView | undefined>;
  /**
   * Every revision from the current one on, none lost or repeated over dropped connections; ends when the machine's own
   * desired state holds, or it failed, or it is gone (then with a last view whose phase is "destroyed").
   */
  watchMachine(id: string, options: CallOptions): AsyncIterable<MachineView>;
  readonly commands: CommandPort;
  readonly files: FilePort;
  /** The rest is there exactly where the capabilities say so. */
  readonly snapshots?: SnapshotPort;
  readonly webhooks?: WebhookPort;
  readonly events?: EventPort;
  close(): Promise<void>;
}
