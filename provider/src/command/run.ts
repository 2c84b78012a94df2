/** Runs one command line of the resource in its machine, and says on the terminal what it writes. */
import { parseDuration } from "@pulumi-machines/sdk/duration";
import type { Context } from "../context";
import type { CommandOutcome } from "../controlplane/command-port";
import { MachineGoneError, RefusedError } from "../controlplane/port";
import { messageOf } from "../failure-report";
import { spanOf } from "../history";
import { oneLine } from "../one-line";
import { pauseAfter } from "../patience";
import { awaken } from "./awaken";
import type { CommandInputs } from "./args";
import { OutputLines } from "./lines";
import type { Secrecy } from "./mask";
import { runOnce, wasNotStarted, type CommandIdentity } from "./run-once";

export type Line = string | readonly string[];

const shellOf = (line: Line): readonly string[] =>
  typeof line === "string" ? ["/bin/sh", "-c", line] : line;

/** The command ended with another code than 0, or was ended. */
export class CommandFailedError extends Error {
  override readonly name = "CommandFailedError";
}

export interface Run {
  /** Which of the resource's lines. */
  identity: CommandIdentity;
  line: Line;
  extra?: Record<string, string>;
}

/** @throws CommandFailedError with the last lines; MachineGoneError; Error in words for the rest */
export async function runCommand(
  context: Context,
  inputs: CommandInputs,
  { identity, line, extra }: Run,
  secrecy: Secrecy,
): Promise<CommandOutcome> {
  const { logging, machineId } = inputs;
  const { which } = identity;
  const { mask, longest, secretLine } = secrecy;
  const isOpen = secretLine === undefined;
  const shown = {
    stdout: isOpen && (logging === "stdout" || logging === "stdoutAndStderr"),
    stderr: isOpen && (logging === "stderr" || logging === "stdoutAndStderr"),
  };
  if (!isOpen && logging !== "none") context.log(withheld(secretLine));
  const lines = new OutputLines((text) => context.log(text), shown, mask, context.clock, longest);
  const said = (): string[] => lastLines(lines.tail(), secretLine);
  const left = context.deadline - context.clock.now();
  const timeoutMs =
    inputs.timeout === undefined ? left : Math.min(parseDuration(inputs.timeout) * 1_000, left);
  const environment = { ...inputs.environment, ...extra };
  const spec = {
    argv: shellOf(line),
    timeoutMs: Math.max(1_000, Math.round(timeoutMs)),
    ...(inputs.cwd === undefined ? {} : { cwd: inputs.cwd }),
    ...(inputs.stdin === undefined ? {} : { stdin: inputs.stdin }),
    ...(Object.keys(environment).length > 0 ? { env: environment } : {}),
  };
  const outcome = await started(context, machineId, () =>
    runOnce(context, identity, { machineId, spec, onOutput: (stream, text) => lines.add(stream, text) }),
  ).catch((error: unknown) => {
    lines.end();
    throw inWords(context, { machineId, which, mask }, error, said());
  });
  lines.end();
  if (outcome.exitCode === 0) return outcome;
  throw new CommandFailedError(failureOf(context, { machineId, which }, outcome, said()));
}

const withheld = (line: string): string =>
  `its output is not shown: \`${line}\` holds a secret. Give that one in \`environment\`, and name it in the line as "$NAME"`;

const lastLines = (tail: readonly string[], secretLine: string | undefined): string[] =>
  tail.length === 0
    ? []
    : secretLine === undefined
      ? ["its last lines:", ...tail.map((text) => `  ${text}`)]
      : [withheld(secretLine)];

/** What helps after a failure; a `delete` that cannot run must not hold up a destroy for ever. */
const nextStep = ({ urn }: Context, which: CommandIdentity["which"]): string =>
  which === "delete"
    ? `next: mend it, then the same command runs it again; to drop it without running it: pulumi state delete '${urn}'`
    : `next: mend it, then "pulumi up" runs it again`;

/** A machine that sleeps is woken; a service that is busy is waited for. What was started is never started twice. */
async function started(
  context: Context,
  machineId: string,
  run: () => Promise<CommandOutcome>,
): Promise<CommandOutcome> {
  let hasWoken = false;
  for (let refusals = 0; ; refusals += 1) {
    try {
      return await run();
    } catch (error) {
      if (!(error instanceof RefusedError) || !wasNotStarted(error)) throw error;
      if (error.code === "INVALID_STATE" && !hasWoken) {
        hasWoken = true;
        await awaken(context, machineId);
        continue;
      }
      const pause = pauseAfter(error, refusals, context);
      if (pause === undefined) throw error;
      context.log(`${error.message}; trying again in ${spanOf(pause)}`);
      await context.clock.sleep(pause, context.signal);
    }
  }
}

interface Place {
  machineId: string;
  which: CommandIdentity["which"];
}

function failureOf(
  context: Context,
  { machineId, which }: Place,
  { exitCode, timedOut, durationMs }: CommandOutcome,
  said: readonly string[],
): string {
  const how = timedOut
    ? `was ended after ${spanOf(durationMs)}, its timeout`
    : `ended with exit code ${String(exitCode)} after ${spanOf(durationMs)}`;
  return [
    `command "${context.name}": \`${which}\` ${how}, in machine ${machineId}`,
    ...(said.length > 0 ? said : ["it wrote nothing"]),
    nextStep(context, which),
  ].join("\n");
}

function inWords(
  context: Context,
  { machineId, which, mask }: Place & Pick<Secrecy, "mask">,
  error: unknown,
  said: readonly string[],
): unknown {
  if (error instanceof MachineGoneError) return error;
  const why = context.signal.aborted
    ? `was ended: it did not end within ${spanOf(context.allowedMs)} (timeouts)`
    : `could not be run to its end: ${oneLine(mask(messageOf(error)))}`;
  const lines = [`command "${context.name}": \`${which}\` ${why}, in machine ${machineId}`, ...said];
  return new Error([...lines, ...(which === "delete" ? [nextStep(context, which)] : [])].join("\n"), {
    cause: error,
  });
}
