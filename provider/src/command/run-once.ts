/**
 * Runs a command of a resource once, also when the deploy that started it was killed: the create journal knows which command
 * that was. One that runs still is followed, and one that has succeeded is not run again; one that failed is, as after any
 * failure. A command that the program has changed since is ended first.
 */
import { createHash, createHmac } from "node:crypto";
import type { Context } from "../context";
import {
  NoEndError,
  type CommandOptions,
  type CommandOutcome,
  type CommandSpec,
} from "../controlplane/command-port";
import { KeyReusedError, MachineGoneError, RefusedError } from "../controlplane/port";
import type { JournalEntry } from "../journal";

/** Which command of a stack it is. */
export interface CommandIdentity {
  stackIdentity: string;
  urn: string;
  which: "create" | "update" | "delete";
  /** Of the resource that is updated or deleted. */
  id?: string | undefined;
  /** With others, another run is asked for. */
  triggers?: unknown;
}

type OnOutput = NonNullable<CommandOptions["onOutput"]>;

/** A command that an interrupted deploy has left. */
interface LeftRun extends JournalEntry {
  runKey: string;
}

/** Refusals that come before a command is started: another phase, too many requests, a service that is not up to it. */
export const wasNotStarted = ({ code }: RefusedError): boolean =>
  [
    "INVALID_STATE",
    "RATE_LIMITED",
    "rate_limit_exceeded",
    "DEPENDENCY_UNAVAILABLE",
    "capacity_exceeded",
  ].includes(code);

/** @throws what CommandPort's `run` throws */
export async function runOnce(
  context: Context,
  identity: CommandIdentity,
  { machineId, spec, onOutput }: { machineId: string; spec: CommandSpec; onOutput: OnOutput },
): Promise<CommandOutcome> {
  const { journal, signal } = context;
  const key = keyOf(identity);
  const asked = askedHash(identity, spec);
  const close = (): Promise<void> => journal.write({ key, answered: true });
  const left = await journal.find(key);
  if (left !== undefined && isLeft(left)) {
    const isSame = left.asked === asked && left.machineId === machineId;
    const outcome = isSame
      ? await takenUp(context, left, { machineId, spec, onOutput })
      : await endEarlier(context, left);
    await close();
    if (outcome) return outcome;
    // What the earlier one wrote last is no part of a line of this one.
    for (const stream of ["stdout", "stderr"] as const) onOutput(stream, "\n");
  }
  const { timeoutMs } = spec;
  const idempotencyKey = context.newKey();
  const opened = { urn: identity.urn, machineId, asked, timeoutMs, runKey: idempotencyKey };
  await journal.write({ key, ...opened, commandId: "", answered: false });
  let hasStarted = false;
  try {
    const outcome = await context.controlPlane.commands.run(machineId, spec, {
      signal,
      idempotencyKey,
      onOutput,
      onStarted: (commandId) => {
        hasStarted = true;
        void journal.write({ key, commandId });
      },
    });
    await close();
    return outcome;
  } catch (error) {
    if (!mayGoOn(error, context, hasStarted)) await close();
    throw error;
  }
}

const isLeft = (entry: JournalEntry): entry is LeftRun => entry.runKey !== undefined && !entry.answered;

/** Nobody has seen its end: the deploy itself was killed, or the service does not answer what is asked about it. */
function mayGoOn(error: unknown, { signal, clock, deadline }: Context, hasStarted: boolean): boolean {
  if (signal.aborted) return clock.now() < deadline;
  if (error instanceof NoEndError) return ["command_unknown", "exit_unknown"].includes(error.code);
  return error instanceof RefusedError && (hasStarted || (error.retryable && !wasNotStarted(error)));
}

/** How it went; undefined when it has to be run again. */
async function takenUp(
  context: Context,
  { commandId, runKey, timeoutMs }: LeftRun,
  { machineId, spec, onOutput }: { machineId: string; spec: CommandSpec; onOutput: OnOutput },
): Promise<CommandOutcome | undefined> {
  const { commands } = context.controlPlane;
  const { signal } = context;
  if (!commandId && !commands.keepsKeys) {
    context.warn(
      `command "${context.name}": a deploy that was interrupted may have started it in machine ${machineId}; nothing tells whether, so it runs now`,
    );
    return undefined;
  }
  context.log("found again: it was started before, and nobody has seen its end");
  try {
    const outcome = commandId
      ? await commands.follow(machineId, commandId, { signal, onOutput })
      : await commands.run(
          machineId,
          { ...spec, timeoutMs: timeoutMs ?? spec.timeoutMs },
          { signal, onOutput, idempotencyKey: runKey },
        );
    if (outcome.exitCode === 0) return outcome;
    context.log(`it has ended with exit code ${String(outcome.exitCode)}: running it again`);
    return undefined;
  } catch (error) {
    if (!hasNoEnd(error)) throw error;
    context.log(`${error.message}: running it again`);
  }
  await ended(context, machineId, commandId);
  return undefined;
}

/** Nothing tells how it ended, or ever will. */
const hasNoEnd = (error: unknown): error is KeyReusedError | NoEndError =>
  error instanceof KeyReusedError || error instanceof NoEndError;

async function endEarlier(context: Context, { machineId, commandId }: LeftRun): Promise<undefined> {
  if (machineId === undefined) return;
  if (!commandId) {
    context.warn(
      `command "${context.name}": a deploy that was interrupted may have started an earlier form of it in machine ${machineId}; nothing tells whether, so that it may run still`,
    );
    return;
  }
  context.log("ending what a deploy that was interrupted has started, which is another command now");
  await ended(context, machineId, commandId);
}

/** A machine that is gone or sleeps runs no command. */
async function ended(context: Context, machineId: string, commandId: string | undefined): Promise<void> {
  if (!commandId) return;
  try {
    await context.controlPlane.commands.end(machineId, commandId, { signal: context.signal });
  } catch (error) {
    const isOver = error instanceof MachineGoneError || (error instanceof RefusedError && !error.retryable);
    if (!isOver) throw error;
  }
}

const keyOf = ({ stackIdentity, urn, which, id = "" }: CommandIdentity): string =>
  `pc1-${createHash("sha256")
    .update(JSON.stringify([stackIdentity, urn, which, id]))
    .digest("hex")}`;

/** What is asked for may hold secrets: on the disk there is only its hash. */
function askedHash(
  { stackIdentity, triggers }: CommandIdentity,
  { argv, cwd, env = {}, stdin }: CommandSpec,
): string {
  const variables = Object.entries(env).sort(([one], [other]) => (one < other ? -1 : 1));
  return createHmac("sha256", stackIdentity)
    .update(JSON.stringify([argv, cwd, variables, stdin, triggers]))
    .digest("hex");
}
