/** Makes machines on Nullspace: new ones, from snapshots, and copies; each is named as soon as anything names it. */
import type { NullspaceClient } from "@pulumi-machines/sdk";
import { createParams, leaseOf } from "./nullspace-create";
import type { NullspaceFailures } from "./nullspace-failures";
import { NullspaceHub } from "./nullspace-hub";
import { viewOf } from "./nullspace-view";
import {
  MachineGoneError,
  RefusedError,
  type CallOptions,
  type Lifetime,
  type MachineSpec,
  type MachineView,
  type MutationOptions,
} from "./port";
import { tagNames } from "./tags";
import type { CallFacts } from "./translate";

/** For the stream that names a machine to be there, before a create is sent without it. In milliseconds. */
const patienceForNameMs = 5_000;

export interface MakingServices {
  client: NullspaceClient;
  hub: NullspaceHub;
  failures: NullspaceFailures;
  get: (id: string, options: CallOptions) => Promise<MachineView>;
  translated: (error: unknown, facts: CallFacts) => unknown;
}

/** What may tell the id of a machine before its create answers. */
interface Named {
  listening: Promise<void>;
  id: Promise<string>;
  stop: () => void;
}

export class NullspaceMaking {
  constructor(private readonly services: MakingServices) {}

  /** The service answers when the machine is usable; an event names it sooner. */
  async make(spec: MachineSpec, options: MutationOptions): Promise<MachineView> {
    const key = spec.tags?.[tagNames.key];
    const isCopy = spec.from !== undefined && "machine" in spec.from;
    const named = key === undefined || isCopy ? undefined : this.nameOf(key, options.signal);
    try {
      // An event that comes before somebody listens names nothing.
      await named?.listening;
      const made = this.answered(spec, options);
      made.catch(() => undefined); // Where an event has named the machine, its status tells the rest.
      const first = await (named ? Promise.race([made, named.id]) : made);
      return typeof first === "string" ? await this.seen(first, made, options) : first;
    } finally {
      named?.stop();
    }
  }

  /** An event can come before what it tells of can be read: then the answer of the create has the last word. */
  private async seen(id: string, made: Promise<MachineView>, options: CallOptions): Promise<MachineView> {
    try {
      return await this.services.get(id, options);
    } catch (error) {
      if (error instanceof MachineGoneError) return made;
      throw error;
    }
  }

  /** The machine that a create with this key makes, from the lifecycle stream; never more than a help. */
  private nameOf(key: string, signal: AbortSignal): Named {
    const id = Promise.withResolvers<string>();
    let stop = (): void => undefined;
    const waiting = {
      wants: NullspaceHub.wantsKey(key),
      tell: ({ machineId = "" }) => id.resolve(machineId),
      deafened: () => undefined,
    };
    const soon = AbortSignal.any([signal, AbortSignal.timeout(patienceForNameMs)]);
    const listening = this.services.hub
      .listen(waiting, soon)
      .then((leave) => {
        stop = leave;
      })
      .catch(() => undefined);
    return { listening, id: id.promise, stop: () => void listening.then(() => stop()) };
  }

  private async answered(spec: MachineSpec, options: MutationOptions): Promise<MachineView> {
    const { client, failures, get, translated } = this.services;
    const { from } = spec;
    try {
      if (from && "machine" in from) return await this.copy(from.machine, spec.lifetime, options);
      return viewOf(await client.machines.create(createParams(spec), options));
    } catch (error) {
      const id = failures.leftBy(error);
      if (id !== undefined) return get(id, options);
      const source =
        from && ("machine" in from ? { machineId: from.machine } : { snapshotId: from.snapshot });
      const refusal = translated(error, { ...source, keyed: true });
      // A machine that is gone may be refused for its state.
      const isState = refusal instanceof RefusedError && refusal.code === "INVALID_STATE";
      if (isState && from && "machine" in from) await get(from.machine, options);
      throw refusal;
    }
  }

  /** A copy has the limits of its source, but its lease is its own: that of the program, or a year. */
  private async copy(
    source: string,
    lifetime: Lifetime = {},
    options: MutationOptions,
  ): Promise<MachineView> {
    const { machines } = this.services.client;
    const others = (["inactivity", "deleteAfterSleeping"] as const).filter((name) => lifetime[name]);
    if (others.length > 0) {
      const names = others.map((name) => `lifetime.${name}`).join(" and ");
      throw new RefusedError(
        `Nullspace gives a copy of a machine the ${names} of that machine; leave it out`,
        {
          ...{ code: "not_supported", retryable: false },
        },
      );
    }
    const { signal } = options;
    const { id } = await machines.fork(source, options);
    const { ephemeral } = await machines.get(id, { signal });
    await machines.setTimeout(id, leaseOf(lifetime, ephemeral === true), { signal });
    return this.services.get(id, options);
  }
}
