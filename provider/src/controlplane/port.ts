/**
 * What the resources need of a cloud: the verbs, and what a machine looks like. Each backend has one adapter.
 * Domain language only; wire names stop at the adapters.
 */
import type { DesiredState, Open, Phase } from "@pulumi-machines/sdk/dedalus/rules";

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
  storageGiB: number;
  /** 0 is never; undefined where a service does not say. */
  autosleepSeconds?: number;
  /** ISO 8601. */
  createdAt?: string;
  lastTransitionAt?: string;
  /** Of the answer that this view came from, where there is one. */
  requestId?: string;
}

export interface MachineSpec {
  vcpu: number;
  memoryMiB: number;
  storageGiB: number;
  /** As the user wrote it, in the grammar of `duration.ts`; undefined is the service's default. */
  autosleep?: string;
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
  override readonly name = "RefusedError";
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
  /** "local", "dedalus": for messages. */
  readonly backend: string;
  /** Answers as soon as the service names an id; a repeated key answers the same machine. @throws KeyReusedError */
  createMachine(spec: MachineSpec, options: MutationOptions): Promise<MachineView>;
  /** @throws MachineGoneError */
  getMachine(id: string, options: CallOptions): Promise<MachineView>;
  /** Sends only what is given. @throws MachineGoneError */
  updateMachine(id: string, change: Partial<MachineSpec>, options: MutationOptions): Promise<MachineView>;
  sleepMachine(id: string, options: MutationOptions): Promise<MachineView>;
  wakeMachine(id: string, options: MutationOptions): Promise<MachineView>;
  /** Not found is success: answers undefined. */
  deleteMachine(id: string, options: MutationOptions): Promise<MachineView | undefined>;
  /**
   * Every revision from the current one on, none lost or repeated over dropped connections; ends when the machine's own
   * desired state holds, or it failed, or it is gone (then with a last view whose phase is "destroyed").
   */
  watchMachine(id: string, options: CallOptions): AsyncIterable<MachineView>;
  close(): Promise<void>;
}
