/** Gives a command its standard input over the Nullspace API, whole or not at all. */
import {
  CommandError,
  ConnectionError,
  MachinesError,
  RateLimitError,
  type CommandStream,
  type NullspaceClient,
} from "@pulumi-machines/sdk";
import { realClock } from "../context";
import { messageOf } from "../failure-report";
import { RefusedError } from "./port";

/** Of one request, in characters. */
const partLength = 256 * 1024;
/** Before a repeat where the service does not say how long, in milliseconds. */
const pauseMs = 1_000;

/**
 * A command that ends, or closes its input, without reading it is no failure: its end says how it went. One that cannot be
 * given the rest must not take a part for the whole.
 * @param over aborted when the command has ended
 * @throws RefusedError `stdin_lost`
 */
export async function feedStdin(
  client: NullspaceClient,
  machineId: string,
  stream: CommandStream,
  stdin: string,
  over: AbortSignal,
): Promise<void> {
  const pid = await stream.pid.catch(() => undefined);
  if (pid === undefined) return; // Not started: the stream says why.
  try {
    for (const part of partsOf(stdin)) await send(stream, part, over);
    // After input on a connection of its own, whose end says that this was read: one that breaks loses what was just sent.
    await untilDone(
      () => (stdin === "" ? stream.closeStdin() : client.commands.closeStdin(machineId, pid)),
      over,
    );
  } catch (error) {
    if (over.aborted || isUnread(error)) return;
    const message = `the command was ended, since not all of its standard input reached it: ${messageOf(error)}`;
    throw new RefusedError(message, { code: "stdin_lost", retryable: false, cause: error });
  }
}

/** For what can be repeated safely. */
async function untilDone(work: () => Promise<void>, over: AbortSignal): Promise<void> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof ConnectionError) || !error.retryable || over.aborted) throw error;
      await realClock.sleep(pauseMs, over);
    }
  }
}

/** Too many requests is the one refusal after which nothing of it has been read. */
async function send(stream: CommandStream, part: string, over: AbortSignal): Promise<void> {
  for (;;) {
    try {
      return await stream.sendStdin(part);
    } catch (error) {
      if (!(error instanceof RateLimitError) || over.aborted) throw error;
      await realClock.sleep(error.retryAfterMs ?? pauseMs, over);
    }
  }
}

/** Nobody is there to read it, or the command's own stream says what is wrong. */
function isUnread(error: unknown): boolean {
  if (!(error instanceof MachinesError)) return true;
  return error instanceof CommandError || error.status === 404 || error.status === 409;
}

/** In parts that a request can carry, none of which ends between the halves of a character. */
function* partsOf(stdin: string): Generator<string, void> {
  for (let at = 0, end = 0; at < stdin.length; at = end) {
    end = at + partLength;
    if (isFirstHalf(stdin.charCodeAt(end - 1))) end += 1;
    yield stdin.slice(at, end);
  }
}

/** Of the two units that an emoji has. */
export const isFirstHalf = (unit: number): boolean => unit >= 0xd800 && unit <= 0xdbff;
