/** The component: base machine -> files -> set-up commands -> golden snapshot -> replicas. */
import * as pulumi from "@pulumi/pulumi";
import { Command } from "../command/resource";
import { File } from "../file/resource";
import { environmentType } from "../loader";
import { Machine } from "../machine/resource";
import { Snapshot } from "../snapshot/resource";
import { checkEnvironment, type EnvironmentArgs } from "./args";
import { commandOf, fileOf, meaningOf } from "./parts";
import { digestOf } from "./digest";

/**
 * Any number of machines that start from one disk, which files and commands have prepared. A base machine gets the files and
 * runs the commands; a golden snapshot is taken of it; the replicas are made from that snapshot.
 *
 * When anything above the snapshot changes (the base's arguments, a file's content, a command, `triggers`), all is built anew
 * on a clean disk: a new base machine, a new snapshot, new replicas. The old ones go when the new ones run; a set-up that
 * fails leaves the old replicas running and the old snapshot in place. Another number of replicas touches only the difference.
 * A deploy that failed goes on where it stopped: the command that failed runs again on the same disk. Change `triggers` to
 * start on a clean one.
 *
 * The base machine stays, since what is installed on it belongs to the stack's state, and sleeps: it may be in any state, and
 * after five minutes without use (`machine.autosleep`) it costs no more than its disk.
 *
 * @example
 * const team = new Environment("team", {
 *   machine: { vcpu: 1, memoryMiB: 2048 },
 *   files: { "/root/task.md": new pulumi.asset.FileAsset("task.md") },
 *   setup: ["mkdir -p /work && cp /root/task.md /work", { create: ["ls", "/work"], timeout: "1m" }],
 *   replicas: 3,
 *   replica: { autosleep: "30m" },
 * });
 * export const agents = team.replicas;
 */
export class Environment extends pulumi.ComponentResource {
  /** Id of the snapshot that the replicas are made from. */
  readonly goldenSnapshotId: pulumi.Output<string>;
  /** Id of the machine that the snapshot is of. */
  readonly baseMachineId: pulumi.Output<string>;
  /** Ids of the replicas. */
  readonly replicas: pulumi.Output<string[]>;
  readonly base: Machine;
  readonly golden: Snapshot;
  /** The replicas themselves. */
  readonly machines: readonly Machine[];

  constructor(name: string, args: EnvironmentArgs, opts: pulumi.ComponentResourceOptions = {}) {
    checkEnvironment(name, args);
    super(environmentType, name, {}, opts);
    const triggers = [pulumi.output(meaningOf(args)).apply(digestOf)];
    this.base = this.makeBase(name, args, triggers);
    const last = this.setUp(name, args, triggers);
    this.golden = new Snapshot(
      `${name}-golden`,
      { ...args.snapshot, machineId: this.base.id, triggers },
      { parent: this, dependsOn: last },
    );
    this.machines = Array.from(
      { length: args.replicas },
      (_, index) =>
        new Machine(
          `${name}-${String(index)}`,
          { ...args.replica, from: { snapshot: this.golden.id }, triggers },
          { parent: this },
        ),
    );
    this.goldenSnapshotId = this.golden.id;
    this.baseMachineId = this.base.id;
    this.replicas = pulumi.all(this.machines.map(({ id }) => id));
    const { goldenSnapshotId, baseMachineId, replicas } = this;
    this.registerOutputs({ goldenSnapshotId, baseMachineId, replicas });
  }

  private makeBase(
    name: string,
    { machine = {} }: EnvironmentArgs,
    triggers: pulumi.Input<string>[],
  ): Machine {
    // Where a lifetime says how it falls asleep, some backends have no second clock.
    const sleep = machine.lifetime === undefined ? { autosleep: "5m" } : {};
    return new Machine(
      `${name}-base`,
      { ...sleep, ...machine, desiredState: "any", triggers },
      { parent: this },
    );
  }

  /** Files first, then each command after the one before. Answers what has to be there before the snapshot. */
  private setUp(
    name: string,
    { files = {}, setup = [] }: EnvironmentArgs,
    triggers: pulumi.Input<string>[],
  ): pulumi.Resource[] {
    const machineId = this.base.id;
    // What is done to the base machine goes with it: nothing is undone on one that is destroyed, and least of all before
    // the new one is there.
    const opts = { parent: this, deletedWith: this.base, deleteBeforeReplace: false };
    let last: pulumi.Resource[] = Object.entries(files).map(
      ([path, file]) => new File(`${name}-file-${path}`, { ...fileOf(file), machineId, path }, opts),
    );
    for (const [index, command] of setup.entries()) {
      const args = { ...commandOf(command), machineId, triggers };
      last = [new Command(`${name}-setup-${String(index)}`, args, { ...opts, dependsOn: last })];
    }
    return last;
  }
}
