/** The control-plane port on Dedalus Cloud Services, and on anything else that speaks its API. */
import { DedalusClient, type Machine } from "@pulumi-machines/sdk";
import { capabilities, type Backend } from "./capabilities";
import { manners } from "./connections";
import { DedalusCommands } from "./dedalus-commands";
import { viewOf } from "./dedalus-view";
import { FilesByShell } from "./files-by-shell";
import { passes } from "./machine-filter";
import {
  MachineGoneError,
  RefusedError,
  type CallOptions,
  type ControlPlane,
  type MachineChange,
  type MachineDetails,
  type MachineFilter,
  type MachineSpec,
  type MachineView,
  type MutationOptions,
} from "./port";
import { verifyEndpoint } from "./verify";
import { translateError } from "./translate";

export interface DedalusOptions {
  /** For messages; what this adapter can do is the same for both. */
  backend: Extract<Backend, "dedalus" | "local">;
  baseUrl?: string;
  apiKey?: string;
  xApiKey?: string;
  organizationId?: string;
  /** Appended to the message when nothing answers at the address. */
  unreachableHint?: string;
}

export class DedalusControlPlane implements ControlPlane {
  readonly backend: Backend;
  readonly capabilities = capabilities.dedalus;
  readonly commands: DedalusCommands;
  readonly files: FilesByShell;
  private readonly client: DedalusClient;
  private readonly hint: string | undefined;

  constructor({ backend, unreachableHint, ...settings }: DedalusOptions) {
    this.backend = backend;
    this.hint = unreachableHint;
    this.client = new DedalusClient({ ...settings, ...manners });
    this.commands = new DedalusCommands(this.client, unreachableHint);
    this.files = new FilesByShell(this.commands);
  }

  verify({ signal }: CallOptions): Promise<void> {
    return verifyEndpoint(() => this.client.machines.list({ limit: 1 }, { signal }).page());
  }

  createMachine(spec: MachineSpec, options: MutationOptions): Promise<MachineView> {
    const { vcpu, memoryMiB, storageGiB, autosleep } = spec;
    return this.call(undefined, () => {
      if (vcpu === undefined || memoryMiB === undefined || storageGiB === undefined) {
        throw new RefusedError("a machine here is made from vcpu, memoryMiB and storageGiB, all of them", {
          code: "invalid_argument",
          retryable: false,
        });
      }
      return this.client.machines.create({ vcpu, memoryMiB, storageGiB, autosleep }, options);
    });
  }

  getMachine(id: string, options: CallOptions): Promise<MachineView> {
    return this.call(id, () => this.client.machines.get(id, options));
  }

  async describeMachine(id: string, options: CallOptions): Promise<MachineDetails> {
    return detailsOf(await this.getMachine(id, options));
  }

  async *listMachines(filter: MachineFilter, { signal }: CallOptions): AsyncGenerator<MachineDetails, void> {
    try {
      for await (const machine of this.client.machines.list({}, { signal })) {
        const details = detailsOf(viewOf(machine));
        if (passes(details, filter)) yield details;
      }
    } catch (error) {
      throw translateError(error, { hint: this.hint });
    }
  }

  updateMachine(id: string, change: MachineChange, options: MutationOptions): Promise<MachineView> {
    const { vcpu, memoryMiB, storageGiB, autosleep, lifetime, network } = change;
    return this.call(id, () => {
      const other = lifetime === undefined ? (network === undefined ? undefined : "network") : "lifetime";
      if (other !== undefined) {
        throw new RefusedError(`machine ${id}: ${other} cannot be changed on the backend "${this.backend}"`, {
          code: "not_supported",
          retryable: false,
        });
      }
      return this.client.machines.update(id, { vcpu, memoryMiB, storageGiB, autosleep }, options);
    });
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
      throw translateError(error, { machineId: id, hint: this.hint });
    }
  }

  close(): Promise<void> {
    return this.client.close();
  }

  private async call(id: string | undefined, send: () => Promise<Machine>): Promise<MachineView> {
    try {
      return viewOf(await send());
    } catch (error) {
      throw translateError(error, { machineId: id, hint: this.hint });
    }
  }
}

/** This API has no metadata: nothing tells whose a machine is. */
const detailsOf = (view: MachineView): MachineDetails => ({ ...view, metadata: {}, tags: {} });
