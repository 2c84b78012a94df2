/**
 * The control-plane port on the embedded control plane: the machine's own verbs over its Dedalus dialect, the rest over its
 * Nullspace dialect, and what neither says over the routes of its own. Machines are `dm-...` here.
 */
import { LocalClient, NullspaceClient, type NullspaceMachine } from "@pulumi-machines/sdk";
import { machineStates } from "@pulumi-machines/sdk/nullspace/rules";
import { capabilities } from "./capabilities";
import { manners } from "./connections";
import { DedalusControlPlane } from "./dedalus";
import { viewOf } from "./dedalus-view";
import { LocalCommands } from "./local-commands";
import { actionOf, createParams, spanMs } from "./local-create";
import { detailsOf } from "./local-details";
import { changeEgress, type Egress } from "./local-egress";
import { nullspaceId, stateId } from "./local-ids";
import { LocalSnapshots } from "./local-snapshots";
import { passes } from "./machine-filter";
import { NullspaceCommands } from "./nullspace-commands";
import { NullspaceEvents } from "./nullspace-events";
import { NullspaceFiles } from "./nullspace-files";
import { NullspaceSnapshots } from "./nullspace-snapshots";
import { NullspaceWebhooks } from "./nullspace-webhooks";
import {
  MachineGoneError,
  type CallOptions,
  type ControlPlane,
  type Lifetime,
  type MachineChange,
  type MachineDetails,
  type MachineFilter,
  type MachineSpec,
  type MachineView,
  type MutationOptions,
} from "./port";
import { verifyEndpoint } from "./verify";
import { translateError, type CallFacts } from "./translate";

export interface LocalOptions {
  /** Of the control plane itself, above both dialects. */
  url: string;
  apiKey: string;
  organizationId?: string;
  /** Appended to the message when nothing answers at the address. */
  unreachableHint?: string;
}

export class LocalControlPlane implements ControlPlane {
  readonly backend = "local";
  readonly capabilities = capabilities.local;
  readonly commands: LocalCommands;
  readonly files: NullspaceFiles;
  readonly snapshots: LocalSnapshots;
  readonly webhooks: NullspaceWebhooks;
  readonly events: NullspaceEvents;
  private readonly dedalus: DedalusControlPlane;
  private readonly nullspace: NullspaceClient;
  private readonly own: LocalClient;
  private readonly hint: string | undefined;

  constructor({ url, apiKey, organizationId = "", unreachableHint }: LocalOptions) {
    this.hint = unreachableHint;
    const hint = unreachableHint === undefined ? {} : { unreachableHint };
    this.dedalus = new DedalusControlPlane({
      ...{ backend: "local", baseUrl: `${url}/dedalus`, apiKey },
      // The client would take it from the variables of the vendor's own tools, which are not meant for this service.
      organizationId,
      ...hint,
    });
    this.nullspace = new NullspaceClient({ baseUrl: `${url}/nullspace`, apiKey, ...manners });
    this.own = new LocalClient({ baseUrl: url, apiKey, ...manners });
    const ids = { toWire: nullspaceId, fromWire: stateId };
    this.commands = new LocalCommands(
      new NullspaceCommands(this.nullspace, ids, unreachableHint),
      this.dedalus.commands,
    );
    this.files = new NullspaceFiles(this.nullspace, ids, unreachableHint);
    this.webhooks = new NullspaceWebhooks(this.nullspace, unreachableHint);
    this.events = new NullspaceEvents(this.nullspace, ids, unreachableHint);
    const others = new NullspaceSnapshots(this.nullspace, ids, unreachableHint);
    this.snapshots = new LocalSnapshots(this.own, others, unreachableHint);
  }

  async verify(options: CallOptions): Promise<void> {
    await this.dedalus.verify(options);
    await verifyEndpoint(() => this.nullspace.machines.list({ limit: 1 }, options).page());
  }

  createMachine(spec: MachineSpec, options: MutationOptions): Promise<MachineView> {
    const { from } = spec;
    const source = from && ("machine" in from ? { machineId: from.machine } : { snapshotId: from.snapshot });
    return this.call({ ...source, keyed: true }, async () =>
      viewOf(await this.own.machines.create(createParams(spec), options)),
    );
  }

  getMachine(id: string, options: CallOptions): Promise<MachineView> {
    return this.dedalus.getMachine(stateId(id), options);
  }

  async describeMachine(id: string, options: CallOptions): Promise<MachineDetails> {
    const [view, info] = await Promise.all([this.getMachine(id, options), this.infoOf(id, options)]);
    return detailsOf(view, info);
  }

  async *listMachines(filter: MachineFilter, { signal }: CallOptions): AsyncGenerator<MachineDetails, void> {
    const { phases, template, metadata, tags } = filter;
    const pairs = { ...metadata, ...tags };
    const wanted = {
      template,
      ...(Object.keys(pairs).length > 0 ? { metadata: pairs } : {}),
      ...(phases === undefined ? {} : { state: machineStates }),
    };
    try {
      for await (const info of this.nullspace.machines.list(wanted, { signal })) {
        const details = await this.withView(info, signal);
        if (details && passes(details, filter)) yield details;
      }
    } catch (error) {
      throw this.translated(error, {});
    }
  }

  async updateMachine(id: string, change: MachineChange, options: MutationOptions): Promise<MachineView> {
    const { lifetime, network, ...sizes } = change;
    let view: MachineView | undefined;
    if (Object.values(sizes).some((size) => size !== undefined)) {
      view = await this.dedalus.updateMachine(stateId(id), sizes, options);
    }
    if (lifetime) view = await this.setTimeout(id, lifetime, options);
    if (network?.egress) {
      await this.setEgress(id, network.egress, options);
      view = undefined;
    }
    return view ?? this.getMachine(id, options);
  }

  sleepMachine(id: string, options: MutationOptions): Promise<MachineView> {
    return this.dedalus.sleepMachine(stateId(id), options);
  }

  wakeMachine(id: string, options: MutationOptions): Promise<MachineView> {
    return this.dedalus.wakeMachine(stateId(id), options);
  }

  deleteMachine(id: string, options: MutationOptions): Promise<MachineView | undefined> {
    return this.dedalus.deleteMachine(stateId(id), options);
  }

  watchMachine(id: string, options: CallOptions): AsyncGenerator<MachineView, void> {
    return this.dedalus.watchMachine(stateId(id), options);
  }

  async close(): Promise<void> {
    await Promise.all([this.dedalus.close(), this.nullspace.close(), this.own.close()]);
  }

  /** The other changes of a lifetime replace the machine. */
  private async setTimeout(id: string, lifetime: Lifetime, { signal }: CallOptions): Promise<MachineView> {
    const info = await this.infoOf(id, { signal });
    return this.call({ machineId: id }, async () => {
      const timeoutAction = actionOf(lifetime, info?.ephemeral === true);
      const timeoutMs = spanMs(lifetime.timeout) ?? null;
      return viewOf(
        await this.own.machines.setTimeout(stateId(id), { timeoutMs, timeoutAction }, { signal }),
      );
    });
  }

  private async setEgress(id: string, egress: Egress, { signal }: CallOptions): Promise<void> {
    const set = (): Promise<void> =>
      this.call({ machineId: id }, async () => {
        await this.nullspace.machines.updateEgress(nullspaceId(id), egress, { signal });
      });
    await changeEgress(this, id, set, { signal });
  }

  /** Undefined of a machine that is being destroyed: that dialect does not show it any more. */
  private async infoOf(id: string, { signal }: CallOptions): Promise<NullspaceMachine | undefined> {
    try {
      return await this.call({ machineId: id }, () =>
        this.nullspace.machines.get(nullspaceId(id), { signal }),
      );
    } catch (error) {
      if (error instanceof MachineGoneError) return undefined;
      throw error;
    }
  }

  /** Undefined of a machine that was forgotten meanwhile. */
  private async withView(info: NullspaceMachine, signal: AbortSignal): Promise<MachineDetails | undefined> {
    try {
      return detailsOf(await this.getMachine(info.id, { signal }), info);
    } catch (error) {
      if (error instanceof MachineGoneError) return undefined;
      throw error;
    }
  }

  private async call<T>(facts: CallFacts, send: () => Promise<T>): Promise<T> {
    try {
      return await send();
    } catch (error) {
      throw this.translated(error, facts);
    }
  }

  private translated(error: unknown, facts: CallFacts): unknown {
    return translateError(error, { ...facts, hint: this.hint, fromWire: stateId });
  }
}
