/**
 * The arguments of an Environment. The component itself checks only its own; those of the machines, files and commands in it
 * are checked by these resources, in the preview.
 */
import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import type { CommandArgs } from "../command/resource";
import type { FileArgs } from "../file/resource";
import type { MachineArgs } from "../machine/resource";
import type { SnapshotArgs } from "../snapshot/resource";

/** The base machine, which is made for its disk: it sleeps when nobody uses it, and others may wake it. */
export type BaseMachineArgs = Omit<
  MachineArgs,
  "adopt" | "beforeReplace" | "desiredState" | "ephemeral" | "triggers"
>;

/** What differs in the replicas from the base; the rest comes with the snapshot. */
export type ReplicaArgs = Omit<
  MachineArgs,
  "adopt" | "beforeReplace" | "cwd" | "env" | "from" | "template" | "triggers"
>;

/** A file of the base machine: its text, an asset, an archive, or all that a File can be told. */
export type EnvironmentFile =
  pulumi.Input<string | pulumi.asset.Asset | pulumi.asset.Archive> | Omit<FileArgs, "machineId" | "path">;

/** A command of the set-up: a line for the shell, or all that a Command can be told. */
export type SetupCommand = CommandArgs["create"] | Omit<CommandArgs, "machineId" | "update" | "delete">;

export interface EnvironmentArgs {
  /** The base machine. Default a Machine with its own defaults, and `autosleep: "5m"`. */
  machine?: BaseMachineArgs;
  /** By their absolute paths in the base machine; they are there before the first command runs. */
  files?: Record<string, EnvironmentFile>;
  /** Run in the base machine one after the other, in this order. */
  setup?: SetupCommand[];
  /** Of the golden snapshot: its `metadata` and `timeouts`. */
  snapshot?: Pick<SnapshotArgs, "metadata" | "timeouts">;
  /** How many machines are made from the golden snapshot; 0 to 1000. */
  replicas: number;
  /** What they are, where it is not what the snapshot brings. */
  replica?: ReplicaArgs;
  /** Values of any kind; when one of them changes, everything is built anew. */
  triggers?: pulumi.Input<unknown[]>;
}

/** Pairs that the program itself has written down, so that what they are is known. */
const isPlain = (value: unknown): boolean =>
  typeof value === "object" &&
  value !== null &&
  !Array.isArray(value) &&
  !(value instanceof Promise) &&
  !pulumi.Output.isInstance(value);

/** What is in it may not be known yet, and is not looked at. */
const pairs = (what: string) => z.custom<object>(isPlain, { error: `must be ${what}` }).optional();

export const environmentArgs = z.strictObject({
  machine: pairs("the arguments of a Machine").describe(
    'The base machine, as the arguments of a Machine. It is made for its disk: `desiredState` is "any", and `autosleep` "5m" ' +
      "where nothing else is said.",
  ),
  files: pairs('files by their paths, such as { "/etc/motd": "Hello" }')
    .superRefine((files, issues) => {
      for (const path of Object.keys(files ?? {})) {
        if (!path.startsWith("/"))
          issues.addIssue({ code: "custom", message: `has "${path}", which is no absolute path` });
      }
    })
    .describe(
      "Files of the base machine by their absolute paths: a text, an asset, an archive, or the arguments of a File. They are there " +
        "before the first command runs.",
    ),
  setup: z
    .array(z.unknown(), { error: "must be a list of command lines" })
    .optional()
    .describe(
      "Commands in the base machine, one after the other: lines for the shell, or the arguments of a Command.",
    ),
  snapshot: pairs("{ metadata, timeouts }").describe(
    "Of the golden snapshot: its `metadata` and `timeouts`.",
  ),
  replicas: z
    .int({ error: "must be a whole number from 0 to 1000, known when the program runs" })
    .min(0, { error: "must be from 0 to 1000" })
    .max(1000, { error: "must be from 0 to 1000" })
    .describe("How many machines are made from the golden snapshot."),
  replica: pairs("the arguments of a Machine").describe(
    "What the replicas are, as the arguments of a Machine, where it is not what the snapshot brings.",
  ),
  triggers: z
    .unknown()
    .optional()
    .describe("Values of any kind; when one of them changes, everything is built anew."),
});

/** The arguments of the parts that are the component's own affair. */
const decided: Record<"machine" | "replica", Record<string, string>> = {
  machine: {
    desiredState: 'is always "any"',
    triggers: "are the Environment's own",
    adopt: "would not start on a clean disk",
    beforeReplace: "would not start on a clean disk",
    ephemeral: "would be destroyed instead of sleeping",
  },
  replica: {
    from: "is the golden snapshot",
    triggers: "are the Environment's own",
    adopt: "would not be made from the golden snapshot",
    beforeReplace: "contradicts the golden snapshot",
    template: "comes with the golden snapshot: give it to machine",
    env: "comes with the golden snapshot: give it to machine",
    cwd: "comes with the golden snapshot: give it to machine",
  },
};

/** @throws Error that names every argument that is wrong. */
export function checkEnvironment(name: string, args: EnvironmentArgs): void {
  const parsed = environmentArgs.safeParse(args);
  const wrong = parsed.success ? [] : parsed.error.issues.map(wordsOf);
  for (const [part, rules] of Object.entries(decided)) {
    const given: unknown = args[part as keyof typeof decided] ?? {};
    for (const [argument, why] of Object.entries(rules)) {
      if ((given as Record<string, unknown>)[argument] !== undefined)
        wrong.push(`${part}.${argument} ${why}; leave it out`);
    }
  }
  if (wrong.length > 0) throw new Error(`Environment "${name}": ${wrong.join("; ")}`);
}

function wordsOf(issue: z.core.$ZodIssue): string {
  if (issue.code !== "unrecognized_keys") return `${issue.path.map(String).join(".")} ${issue.message}`;
  const known = Object.keys(environmentArgs.shape).join(", ");
  return `${issue.keys.join(", ")} ${issue.keys.length > 1 ? "are no arguments" : "is no argument"}; known are ${known}`;
}
