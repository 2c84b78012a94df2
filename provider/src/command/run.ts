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
import type { Mask } from "./mask";

export type Line = string | readonly string[];

const shellOf = (line: Line): readonly string[] =>
  typeof line === "string" ? ["/bin/sh", "-c", line] : line;

/** As much of an earlier output as a variable can hold. */
const variableBytes = 64 * 1024;

/** What the earlier run wrote, for `update` and `delete`. */
export function earlierOutput(state: Record<string, unknown>): Record<string, string> {
  const text = (value: unknown): string => (typeof value === "string" ? value.slice(-variableBytes) : "");
  return {
    PULUMI_COMMAND_STDOUT: text(state.stdout),
    PULUMI_COMMAND_STDERR: text(state.stderr),
  };
}

/** The command ended with another code than 0, or was ended. */
export class CommandFailedError extends Error {
  override readonly name = "CommandFailedError";
}

export interface Run {
  /** "create": which of the resource's lines. */
  which: "create" | "update" | "delete";
  line: Line;
  extra?: Record<string, string>;
}

/** @throws CommandFailedError with the last lines; MachineGoneError; Error in words for the rest */
export async function runCommand(
  context: Context,
  inputs: CommandInputs,
  { which, line, extra }: Run,
  mask: Mask,
): Promise<CommandOutcome> {
  const { logging, machineId } = inputs;
  const shown = {
    stdout: logging === "stdout" || logging === "stdoutAndStderr",
    stderr: logging === "stderr" || logging === "stdoutAndStderr",
  };
  const lines = new OutputLines((text) => context.log(text), shown, mask, context.clock);
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
    context.controlPlane.commands.run(machineId, spec, {
      signal: context.signal,
      idempotencyKey: context.newKey(),
      onOutput: (stream, text) => lines.add(stream, text),
    }),
  ).catch((error: unknown) => {
    lines.end();
    throw inWords(context, machineId, which, error, lines.tail());
  });
  lines.end();
  if (outcome.exitCode === 0) return outcome;
  throw new CommandFailedError(failureOf(context, machineId, which, outcome, lines.tail()));
}

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

/** Refusals that come before a command is started: another phase, too many requests, a service that is not up to it. */
const wasNotStarted = ({ code }: RefusedError): boolean =>
  [
    "INVALID_STATE",
    "RATE_LIMITED",
    "rate_limit_exceeded",
    "DEPENDENCY_UNAVAILABLE",
    "capacity_exceeded",
  ].includes(code);

function failureOf(
  { name }: Context,
  machineId: string,
  which: Run["which"],
  { exitCode, timedOut, durationMs }: CommandOutcome,
  tail: readonly string[],
): string {
  const how = timedOut
    ? `was ended after ${spanOf(durationMs)}, its timeout`
    : `ended with exit code ${String(exitCode)} after ${spanOf(durationMs)}`;
  return [
    `command "${name}": \`${which}\` ${how}, in machine ${machineId}`,
    ...(tail.length > 0 ? ["its last lines:", ...tail.map((text) => `  ${text}`)] : ["it wrote nothing"]),
    `next: mend it, then "pulumi up" runs it again`,
  ].join("\n");
}

function inWords(
  context: Context,
  machineId: string,
  which: Run["which"],
  error: unknown,
  tail: readonly string[],
): unknown {
  if (error instanceof MachineGoneError) return error;
  const why = context.signal.aborted
    ? `was ended: it did not end within ${spanOf(context.allowedMs)} (timeouts)`
    : `could not be run to its end: ${oneLine(messageOf(error))}`;
  const said = tail.length > 0 ? ["its last lines:", ...tail.map((text) => `  ${text}`)] : [];
  return new Error(
    [`command "${context.name}": \`${which}\` ${why}, in machine ${machineId}`, ...said].join("\n"),
    { cause: error },
  );
}
