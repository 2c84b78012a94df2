/** The control-plane port on Nullspace, hosted or self-hosted, and on anything else that speaks its API. */
import { NotImplementedError, NullspaceClient } from "@pulumi-machines/sdk";
import type { Backend } from "./capabilities";
import { capabilities } from "./capabilities";
import { manners } from "./connections";
import { viewOf as statusViewOf } from "./dedalus-view";
import { passes } from "./machine-filter";
import { NullspaceCommands } from "./nullspace-commands";
import { leaseOf } from "./nullspace-create";
import { NullspaceEvents } from "./nullspace-events";
import { NullspaceFailures } from "./nullspace-failures";
import { NullspaceFiles } from "./nullspace-files";
import { NullspaceHub } from "./nullspace-hub";
import { sameIds } from "./nullspace-ids";
import { NullspaceMaking } from "./nullspace-making";
import { NullspaceSnapshots } from "./nullspace-snapshots";
import { detailsOf, statesOf, viewOf } from "./nullspace-view";
import { watchByEvents } from "./nullspace-watch";
import { NullspaceWebhooks } from "./nullspace-webhooks";
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
import { translateError, type CallFacts } from "./translate";

export interface NullspaceOptions {
  /** "nullspace": for messages. */
  backend: Backend;
  /** Default what the vendor's own tools use. */
  baseUrl?: string;
  /** Default what the vendor's own tools use. */
  apiKey?: string;
  /** Appended to the message when nothing answers at the address. */
  unreachableHint?: string;
}

export class NullspaceControlPlane implements ControlPlane {
  readonly backend: Backend;
  readonly capabilities = capabilities.nullspace;
  readonly commands: NullspaceCommands;
  readonly files: NullspaceFiles;
  readonly snapshots: NullspaceSnapshots;
  readonly webhooks: NullspaceWebhooks;
  readonly events: NullspaceEvents;
  private readonly client: NullspaceClient;
  private readonly hub: NullspaceHub;
  private readonly hint: string | undefined;
  /** Undefined until a stream was asked for. */
  private hasStatusStream: boolean | undefined;
  private readonly failures: NullspaceFailures;
  private readonly making: NullspaceMaking;

  constructor({ backend, unreachableHint, ...settings }: NullspaceOptions) {
    this.backend = backend;
    this.hint = unreachableHint;
    this.client = new NullspaceClient({ ...settings, ...manners });
    this.hub = new NullspaceHub(this.client);
    this.commands = new NullspaceCommands(this.client, sameIds, this.hint);
    this.files = new NullspaceFiles(this.client, sameIds, this.hint);
    this.snapshots = new NullspaceSnapshots(this.client, sameIds, this.hint);
    this.webhooks = new NullspaceWebhooks(this.client, this.hint);
    this.events = new NullspaceEvents(this.client, sameIds, this.hint);
    this.failures = new NullspaceFailures(this.events);
    this.making = new NullspaceMaking({
      client: this.client,
      hub: this.hub,
      failures: this.failures,
      get: (id, options) => this.getMachine(id, options),
      translated: (error, facts) => this.translated(error, facts),
    });
  }

  verify({ signal }: CallOptions): Promise<void> {
    return verifyEndpoint(() => this.client.machines.list({ limit: 1 }, { signal }).page());
  }

  createMachine(spec: MachineSpec, options: MutationOptions): Promise<MachineView> {
    return this.making.make(spec, options);
  }

  async getMachine(id: string, { signal }: CallOptions): Promise<MachineView> {
    const machine = await this.call({ machineId: id }, () => this.client.machines.get(id, { signal }));
    return viewOf(machine, await this.failures.wordsFor(machine, signal));
  }

  async describeMachine(id: string, { signal }: CallOptions): Promise<MachineDetails> {
    const machine = await this.call({ machineId: id }, () => this.client.machines.get(id, { signal }));
    return detailsOf(machine, await this.failures.wordsFor(machine, signal));
  }

  async *listMachines(filter: MachineFilter, { signal }: CallOptions): AsyncGenerator<MachineDetails, void> {
    const { phases, template, metadata, tags } = filter;
    const pairs = { ...metadata, ...tags };
    const wanted = {
      template,
      ...(Object.keys(pairs).length > 0 ? { metadata: pairs } : {}),
      ...(phases === undefined ? {} : { state: statesOf(phases) }),
    };
    try {
      for await (const machine of this.client.machines.list(wanted, { signal })) {
        const details = detailsOf(machine, await this.failures.wordsFor(machine, signal));
        if (passes(details, filter)) yield details;
      }
    } catch (error) {
      throw this.translated(error, {});
    }
  }

  async updateMachine(id: string, change: MachineChange, options: MutationOptions): Promise<MachineView> {
    const { lifetime, network, ...sizes } = change;
    const wanted = Object.entries(sizes).filter(([, size]) => size !== undefined);
    if (wanted.length > 0) {
      const names = wanted.map(([name]) => name).join(", ");
      throw new RefusedError(
        `Nullspace cannot change ${names} of a machine that is there; it is replaced for that`,
        {
          code: "not_supported",
          retryable: false,
        },
      );
    }
    const { signal } = options;
    await this.call({ machineId: id }, async () => {
      const { machines } = this.client;
      if (lifetime) {
        const { ephemeral } = await machines.get(id, { signal });
        await machines.setTimeout(id, leaseOf(lifetime, ephemeral === true), { signal });
      }
      if (network?.egress) await machines.updateEgress(id, network.egress, { signal });
    });
    return this.getMachine(id, options);
  }

  sleepMachine(id: string, options: MutationOptions): Promise<MachineView> {
    return this.transition(id, "sleeping", options, () =>
      this.client.machines.hibernate(id, { signal: options.signal }),
    );
  }

  wakeMachine(id: string, options: MutationOptions): Promise<MachineView> {
    return this.transition(id, "running", options, () =>
      this.client.machines.resume(id, { signal: options.signal }),
    );
  }

  async deleteMachine(id: string, { signal }: MutationOptions): Promise<MachineView | undefined> {
    try {
      const before = await this.getMachine(id, { signal });
      await this.call({ machineId: id }, () => this.client.machines.delete(id, { signal }));
      return { ...before, phase: "destroyed", desiredState: "destroyed", reason: "" };
    } catch (error) {
      if (error instanceof MachineGoneError) return undefined;
      throw error;
    }
  }

  async *watchMachine(id: string, options: CallOptions): AsyncGenerator<MachineView, void> {
    try {
      if (this.hasStatusStream !== false) {
        try {
          return yield* this.watchStatus(id, options);
        } catch (error) {
          if (!(error instanceof NotImplementedError)) throw error;
          this.hasStatusStream = false;
        }
      }
      yield* watchByEvents(this.hub, id, () => this.getMachine(id, options), options.signal);
    } catch (error) {
      throw this.translated(error, { machineId: id });
    }
  }

  async close(): Promise<void> {
    this.hub.close();
    await this.client.close();
  }

  private async *watchStatus(id: string, { signal }: CallOptions): AsyncGenerator<MachineView, void> {
    for await (const machine of this.client.machines.watchStatus(id, { signal })) {
      this.hasStatusStream = true;
      // That stream knows this vendor's inactivity under no name.
      const { autosleepSeconds: _unknown, ...view } = statusViewOf(machine);
      yield { ...view, id };
    }
  }

  /** A call that answers when the machine is there; where it is there already, that is success. */
  private async transition(
    id: string,
    goal: "running" | "sleeping",
    options: MutationOptions,
    send: () => Promise<unknown>,
  ): Promise<MachineView> {
    this.failures.forget(id);
    try {
      await this.call({ machineId: id }, send);
    } catch (error) {
      // A wake that fails leaves a machine that says so.
      this.failures.leftBy((error as { cause?: unknown }).cause);
      const view = await this.getMachine(id, options);
      if (view.phase === goal || view.phase === "failed") return view;
      throw error;
    }
    return this.getMachine(id, options);
  }

  private async call<T>(facts: CallFacts, send: () => Promise<T>): Promise<T> {
    try {
      return await send();
    } catch (error) {
      throw this.translated(error, facts);
    }
  }

  private translated(error: unknown, facts: CallFacts): unknown {
    return translateError(error, { ...facts, hint: this.hint });
  }
}
