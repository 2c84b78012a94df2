/** The control-plane port on Dedalus Cloud Services, and on anything else that speaks its API. */
import { DedalusClient, MachinesError, NotFoundError, type Machine } from "@pulumi-machines/sdk";
import {
  KeyReusedError,
  MachineGoneError,
  RefusedError,
  type CallOptions,
  type ControlPlane,
  type MachineSpec,
  type MachineView,
  type MutationOptions,
} from "./port";

export interface DedalusOptions {
  /** "dedalus" or "local": for messages. */
  backend: string;
  baseUrl?: string;
  apiKey?: string;
  xApiKey?: string;
  organizationId?: string;
  /** Appended to the message when nothing answers at the address. */
  unreachableHint?: string;
}

export class DedalusControlPlane implements ControlPlane {
  readonly backend: string;
  private readonly client: DedalusClient;
  private readonly hint: string;

  constructor({ backend, unreachableHint, ...settings }: DedalusOptions) {
    this.backend = backend;
    this.hint = unreachableHint ?? "";
    this.client = new DedalusClient(settings);
  }

  createMachine(spec: MachineSpec, options: MutationOptions): Promise<MachineView> {
    return this.call(undefined, () => this.client.machines.create(spec, options));
  }

  getMachine(id: string, options: CallOptions): Promise<MachineView> {
    return this.call(id, () => this.client.machines.get(id, options));
  }

  updateMachine(id: string, change: Partial<MachineSpec>, options: MutationOptions): Promise<MachineView> {
    return this.call(id, () => this.client.machines.update(id, change, options));
  }

  sleepMachine(id: string, options: MutationOptions): Promise<MachineView> {
    return this.call(id, () => this.client.machines.sleep(id, options));
  }

  wakeMachine(id: string, options: MutationOptions): Promise<MachineView> {
    return this.call(id, () => this.client.machines.wake(id, options));
  }

  async deleteMachine(id: string, options: MutationOptions): Promise<MachineView | undefined> {
    try {
      return await this.call(id, () => this.client.machines.delete(id, options));
    } catch (error) {
      if (error instanceof MachineGoneError) return undefined;
      throw error;
    }
  }

  async *watchMachine(id: string, options: CallOptions): AsyncGenerator<MachineView, void> {
    try {
      for await (const machine of this.client.machines.watch(id, options)) yield viewOf(machine);
    } catch (error) {
      throw this.translated(error, id);
    }
  }

  close(): Promise<void> {
    return this.client.close();
  }

  private async call(id: string | undefined, send: () => Promise<Machine>): Promise<MachineView> {
    try {
      return viewOf(await send());
    } catch (error) {
      throw this.translated(error, id);
    }
  }

  private translated(error: unknown, id: string | undefined): unknown {
    if (error instanceof NotFoundError && id !== undefined) return new MachineGoneError(id, { cause: error });
    if (!(error instanceof MachinesError)) return error;
    if (error.code === "IDEMPOTENCY_KEY_REUSED") return new KeyReusedError(error.message, { cause: error });
    return new RefusedError(this.wordsOf(error), {
      code: error.code,
      retryable: error.retryable || isPassing(error),
      ...(error.retryAfterMs === undefined ? {} : { retryAfterMs: error.retryAfterMs }),
      ...(error.requestId === undefined ? {} : { requestId: error.requestId }),
      cause: error,
    });
  }

  /** The client's words, with what to do in the terms of a Pulumi project. */
  private wordsOf({ code, message, status }: MachinesError): string {
    // The client names its own variables.
    if (status === 401) return message.replace(/Check the API key .*$/, keyHint);
    const isUnreachable = code === "connection_refused" || code === "host_not_found";
    return isUnreachable && this.hint ? `${message}. ${this.hint}` : message;
  }
}

const keyHint = "Check the key: pulumi config set --secret machines:apiKey, or the variable MACHINES_API_KEY";

/** The client gave up after its own few tries; an operation with minutes to go may try on. */
const isPassing = (error: MachinesError): boolean =>
  error.code === "deadline_exceeded" ||
  (["ConnectionError"].includes(error.name) &&
    error.code !== "client_closed" &&
    error.code !== "tls_untrusted");

function viewOf(machine: Machine): MachineView {
  const { status } = machine;
  const view: MachineView = {
    id: machine.machineId,
    phase: status.phase,
    desiredState: machine.desiredState,
    reason: status.reason,
    retryable: status.retryable,
    revision: status.revision ?? "",
    vcpu: machine.vcpu,
    memoryMiB: machine.memoryMiB,
    storageGiB: machine.storageGiB,
  };
  if (status.lastError) view.lastError = status.lastError;
  if (machine.autosleepSeconds !== undefined) view.autosleepSeconds = machine.autosleepSeconds;
  if (machine.createdAt !== undefined) view.createdAt = machine.createdAt;
  if (machine.requestId !== undefined) view.requestId = machine.requestId;
  if (status.lastTransitionAt !== undefined) view.lastTransitionAt = status.lastTransitionAt;
  return view;
}
