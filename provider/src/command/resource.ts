/** The resource class that a program uses. It only registers; the work is done by the provider (lifecycle.ts). */
import * as pulumi from "@pulumi/pulumi";
import type { z } from "zod";
import type { ArgsOf } from "../inputs";
import { commandLoader, commandType } from "../loader";
import { propertiesOf } from "../registration";
import type { commandArgs } from "./args";
import { outputDescriptions, secretMarks } from "./state";

type Given = z.input<typeof commandArgs>;

/** The arguments of a Command; `machineId` and `create` are required. */
export type CommandArgs = ArgsOf<Given>;

/**
 * A command in a machine. It runs in the deploy, its output on the terminal line by line, and a non-zero exit fails it.
 * Secrets among its variables and its standard input are replaced by `[secret]` in what is shown of the output; `stdout` and
 * `stderr` are then secrets themselves. When a line of it holds a secret, none of its output is shown: give secrets in
 * `environment`. After a deploy that was killed, the next one on the same computer follows the command that
 * runs still, and takes the output of one that succeeded; a command that failed runs again.
 *
 * @example
 * new Command("install", { machineId: machine.id, create: "cd /srv/app && npm ci" });
 */
export class Command extends pulumi.CustomResource {
  declare readonly machineId: pulumi.Output<string>;
  declare readonly stdout: pulumi.Output<string>;
  declare readonly stderr: pulumi.Output<string>;
  declare readonly exitCode: pulumi.Output<number>;
  /** Milliseconds. */
  declare readonly durationMs: pulumi.Output<number>;
  /** False when some of the output is missing; `missing` says what. */
  declare readonly complete: pulumi.Output<boolean>;
  declare readonly missing: pulumi.Output<string | undefined>;

  constructor(name: string, args: CommandArgs, opts: pulumi.CustomResourceOptions = {}) {
    const outputs = Object.keys(outputDescriptions);
    const secrets = secretNames(args);
    const mark = secrets.then((found) => (found === undefined ? undefined : secretMark()));
    super(
      commandType,
      name,
      {
        ...propertiesOf({ type: commandType, loader: commandLoader, outputs }, name, args, opts),
        ...Object.fromEntries(secretMarks.map((output) => [output, mark])),
        __secret: secrets,
      },
      opts,
    );
  }
}

/** A preview must not take the mark for the output itself. */
const secretMark = (): pulumi.Output<unknown> =>
  pulumi.secret<unknown>(pulumi.runtime.isDryRun() ? pulumi.unknown : "");

/** Which arguments, and which variables, the program gave as secrets: the provider sees plain values. */
async function secretNames(args: CommandArgs): Promise<string[] | undefined> {
  const single = (["create", "update", "delete", "stdin", "cwd"] as const).map(
    (name) => [name, args[name]] as const,
  );
  const { environment } = args;
  const isPlainMap =
    typeof environment === "object" &&
    !pulumi.Output.isInstance(environment) &&
    !(environment instanceof Promise);
  const variables: (readonly [string, unknown])[] = isPlainMap
    ? Object.entries(environment).map(([name, value]) => [`environment.${name}`, value] as const)
    : [["environment", environment] as const];
  const names = await Promise.all(
    [...single, ...variables].map(async ([name, value]) =>
      value !== undefined && (await pulumi.isSecret(pulumi.output(value))) ? [name] : [],
    ),
  );
  const found = names.flat();
  return found.length > 0 ? found : undefined;
}
