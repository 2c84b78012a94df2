/** The resource class that a program uses. It only registers; the work is done by the provider (lifecycle.ts). */
import * as pulumi from "@pulumi/pulumi";
import type { z } from "zod";
import { defaultJournal } from "../create-journal";
import type { ArgsOf } from "../inputs";
import { snapshotLoader, snapshotType } from "../loader";
import { propertiesOf } from "../registration";
import type { snapshotArgs } from "./args";
import { outputDescriptions } from "./state";

/** The arguments of a Snapshot; only `machineId` is required. */
export type SnapshotArgs = ArgsOf<z.input<typeof snapshotArgs>>;

/**
 * The disk of a machine at one moment, from which new machines are made. It is taken once: it changes by being taken anew,
 * when `machineId`, one of the `triggers`, or `metadata` changes, and the old one goes when all that was made from it
 * is there. With the option `retainOnDelete: true` it stays at the service when it leaves the stack.
 *
 * @example
 * const golden = new Snapshot("golden", { machineId: base.id, triggers: [setup.stdout] });
 * const worker = new Machine("worker", { from: { snapshot: golden.id } });
 */
export class Snapshot extends pulumi.CustomResource {
  declare readonly machineId: pulumi.Output<string>;
  declare readonly triggers: pulumi.Output<unknown[] | undefined>;
  /** As the program gave it; of a `Snapshot.get`, what the service keeps. */
  declare readonly metadata: pulumi.Output<Record<string, unknown> | undefined>;
  /** How much it holds, in bytes. */
  declare readonly sizeBytes: pulumi.Output<number>;
  /** When it was taken; ISO 8601. */
  declare readonly createdAt: pulumi.Output<string>;

  constructor(name: string, args: SnapshotArgs, opts: pulumi.CustomResourceOptions = {}) {
    const outputs = [...Object.keys(outputDescriptions), "__key"];
    const registration = { type: snapshotType, loader: snapshotLoader, outputs };
    super(snapshotType, name, propertiesOf(registration, name, args, opts), opts);
    if (opts.id === undefined) rememberRecorded(this);
  }

  /** An existing snapshot by its id; it is read, never changed, and not removed by `pulumi destroy`. */
  static get(name: string, id: pulumi.Input<pulumi.ID>, opts: pulumi.CustomResourceOptions = {}): Snapshot {
    return new Snapshot(name, {} as SnapshotArgs, { ...opts, id });
  }
}

/**
 * The engine answers a registration after it has written the state: from then on this snapshot belongs to the stack, and
 * a create under the same name is a replacement. Nothing tells the provider, so the program notes it.
 */
function rememberRecorded(snapshot: Snapshot): void {
  if (pulumi.runtime.isDryRun()) return;
  const { __key: made } = snapshot as unknown as { __key: pulumi.Output<string | undefined> };
  pulumi.all([snapshot.id, made]).apply(([snapshotId, key]) => {
    if (typeof key === "string") defaultJournal().merge({ key, snapshotId, recorded: true });
  });
}
