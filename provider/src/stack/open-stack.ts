/** A stack as its commands need it: the state, the history, and the control plane that it is deployed to. */
import { openControlPlane } from "../controlplane/open";
import type { ControlPlane } from "../controlplane/port";
import { defaultJournal, type FileJournal } from "../create-journal";
import { messageOf } from "../failure-report";
import { PulumiCli } from "./pulumi-cli";
import { readState, type StackState } from "./stack-state";
import { configOf, settingsOf, type Overrides, type StackSettings } from "./stack-settings";

export interface StackOptions extends Overrides {
  stack?: string;
  cwd: string;
  /** Default "pulumi". */
  pulumi?: string;
}

export interface OpenedStack extends StackSettings {
  cli: PulumiCli;
  state: StackState;
  plane: ControlPlane;
  journal: FileJournal;
}

/** @throws PulumiError, StateFormatError, SettingsError, NoLocalControlPlaneError */
export async function openStack(options: StackOptions, env: NodeJS.ProcessEnv): Promise<OpenedStack> {
  const { stack, cwd, pulumi = "pulumi" } = options;
  const cli = new PulumiCli({ pulumi, cwd, env, ...(stack === undefined ? {} : { stack }) });
  // One after the other where the first says best what is wrong: no project, no such stack.
  const state = readState(await cli.export());
  const found = settingsOf(await configOf(cli, options), env);
  const plane = openControlPlane(found.settings, env);
  return { ...found, cli, state, plane, journal: defaultJournal(env) };
}

/** What could not be had, instead of an end: the rest is still worth telling. */
export async function orMissing<T>(
  what: string,
  missing: string[],
  work: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    missing.push(`${what} could not be read: ${messageOf(error)}`);
    return undefined;
  }
}
