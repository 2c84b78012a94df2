/** The resource class that a program uses. It only registers; the work is done by the provider (lifecycle.ts). */
import * as pulumi from "@pulumi/pulumi";
import type { z } from "zod";
import { defaultJournal } from "../create-journal";
import { createKey } from "../identity";
import type { ArgsOf } from "../inputs";
import { machineLoader, machineType } from "../loader";
import { ownUrn } from "../own-urn";
import { stackIdentity } from "../stack-identity";
import type { machineArgs } from "./args";
import { outputDescriptions } from "./state";

type Given = z.input<typeof machineArgs>;

/** The arguments of a Machine; all of them have defaults. */
export type MachineArgs = ArgsOf<Given>;

/**
 * A machine. `pulumi up` returns when it is in its desired state, and says why when it does not get there.
 *
 * @example
 * const worker = new Machine("worker", { vcpu: 2, memoryMiB: 4096, autosleep: "30m" });
 * export const workerId = worker.id;
 */
export class Machine extends pulumi.CustomResource {
  declare readonly vcpu: pulumi.Output<number>;
  declare readonly memoryMiB: pulumi.Output<number>;
  declare readonly storageGiB: pulumi.Output<number>;
  /** As the program wrote it; undefined without one. `autosleepSeconds` is what is in force. */
  declare readonly autosleep: pulumi.Output<string | undefined>;
  declare readonly desiredState: pulumi.Output<"running" | "sleeping" | "any">;
  declare readonly template: pulumi.Output<string | undefined>;
  declare readonly cwd: pulumi.Output<string | undefined>;
  declare readonly metadata: pulumi.Output<Record<string, unknown> | undefined>;
  /** What the machine was doing when Pulumi last looked. */
  declare readonly phase: pulumi.Output<string>;
  /** Why it is in this phase, in the service's words. */
  declare readonly reason: pulumi.Output<string>;
  /** The service's words on the last failure, where there was one. */
  declare readonly lastError: pulumi.Output<string | undefined>;
  /** True when the service says that asking again may mend a failure. */
  declare readonly retryable: pulumi.Output<boolean>;
  /** The service's opaque count of the machine's changes. */
  declare readonly revision: pulumi.Output<string>;
  /** The autosleep in force, in seconds; 0 is never. */
  declare readonly autosleepSeconds: pulumi.Output<number | undefined>;
  /** ISO 8601, where the service says so. */
  declare readonly createdAt: pulumi.Output<string | undefined>;
  /** When the machine came into its phase; ISO 8601, where the service says so. */
  declare readonly lastTransitionAt: pulumi.Output<string | undefined>;
  /** The form of the state that this provider writes. */
  declare readonly schemaVersion: pulumi.Output<number>;

  constructor(name: string, args: MachineArgs = {}, opts: pulumi.CustomResourceOptions = {}) {
    const urn = ownUrn(name, machineType, opts.parent);
    // An existing machine is only read: it needs no identity.
    const identity = opts.id === undefined ? stackIdentity().identity : undefined;
    super(
      machineType,
      name,
      {
        ...Object.fromEntries(Object.keys(outputDescriptions).map((output) => [output, undefined])),
        __generation: undefined,
        ...args,
        __provider: machineLoader,
        __urn: urn,
        __stackIdentity: identity,
        __replaceOnStorageChange: replacesOnStorageChange(opts) ? true : undefined,
      },
      opts,
    );
    if (identity) rememberRecorded(this, identity, urn);
  }

  /** An existing machine by its id; it is read, never changed, and not removed by `pulumi destroy`. */
  static get(name: string, id: pulumi.Input<pulumi.ID>, opts: pulumi.CustomResourceOptions = {}): Machine {
    return new Machine(name, {}, { ...opts, id });
  }
}

const replacesOnStorageChange = ({ replaceOnChanges }: pulumi.CustomResourceOptions): boolean =>
  replaceOnChanges?.some((path) => path === "storageGiB" || path === "*") ?? false;

/**
 * The engine answers a registration after it has written the state: from then on this machine belongs to the stack, and
 * a create under the same name is a replacement. Nothing tells the provider, so the program notes it.
 */
function rememberRecorded(machine: Machine, identity: pulumi.Output<string>, urn: Promise<string>): void {
  if (pulumi.runtime.isDryRun()) return;
  const generation = (machine as unknown as { __generation: pulumi.Output<number | undefined> }).__generation;
  pulumi.all([machine.id, identity, urn, generation]).apply(([machineId, stackIdentity, ownUrn, number]) => {
    if (typeof number !== "number" || typeof stackIdentity !== "string") return;
    defaultJournal().merge({
      key: createKey({ stackIdentity, urn: ownUrn }, number),
      machineId,
      recorded: true,
    });
  });
}
