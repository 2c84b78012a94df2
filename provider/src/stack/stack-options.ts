/** The options that `why` and `doctor` share. */
import { parseDuration } from "@pulumi-machines/sdk/duration";
import { InvalidArgumentError, Option, type Command } from "commander";
import { backends } from "../controlplane/capabilities";
import type { StackOptions } from "./open-stack";

export interface StackFlags {
  stack?: string;
  cwd?: string;
  pulumi?: string;
  backend?: string;
  endpoint?: string;
  json?: true;
}

export const withStackOptions = (command: Command): Command =>
  command
    .option("-s, --stack <name>", "the stack (default: the selected one)")
    .option("-C, --cwd <folder>", "the project's folder (default: this one)")
    .option("--pulumi <path>", "the Pulumi CLI (default: pulumi on the PATH)")
    .addOption(new Option("--backend <name>", "instead of what the stack is set to").choices(backends))
    .option("--endpoint <url>", "instead of what the stack is set to")
    .option("--json", "print JSON");

export const stackOptionsOf = ({ stack, cwd, pulumi, backend, endpoint }: StackFlags): StackOptions => ({
  cwd: cwd ?? process.cwd(),
  ...(stack === undefined ? {} : { stack }),
  ...(pulumi === undefined ? {} : { pulumi }),
  ...(backend === undefined ? {} : { backend }),
  ...(endpoint === undefined ? {} : { endpoint }),
});

/** Milliseconds of a text such as "24h". */
export function spanOption(text: string): number {
  try {
    const seconds = parseDuration(text);
    if (seconds > 0) return seconds * 1_000;
  } catch {
    // Said below, in this option's own words.
  }
  throw new InvalidArgumentError('It must be a duration such as "30m", "24h" or "7d".');
}

/** Waits until a pipe has taken it all: the exit code must not cut it. */
export const print = (text: string): Promise<void> =>
  new Promise((resolve, reject) => {
    process.stdout.write(text, (error) => (error ? reject(error) : resolve()));
  });

/** The service has so long to answer all questions of one command, in milliseconds. */
export const allowedMs = 120_000;
