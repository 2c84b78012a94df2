/** Commands over the executions of Dedalus Cloud Services: one execution for a key, over connections that break. */
import { setTimeout as sleep } from "node:timers/promises";
import {
  isFinished,
  NotFoundError,
  type DedalusClient,
  type Execution,
  type RunResult,
} from "@pulumi-machines/sdk";
import { programOf } from "./command-names";
import {
  NoEndError,
  type CommandOptions,
  type CommandOutcome,
  type CommandPort,
  type CommandSpec,
  type CommandView,
  type FollowOptions,
} from "./command-port";
import { RefusedError, type CallOptions } from "./port";
import { translateError } from "./translate";

type Stream = "stdout" | "stderr";

/** A command that was started is followed over an outage of about a minute. */
const longestPauseMs = 10_000;
const firstPauseMs = 250;
const maxFailures = 10;

/** For ending a command whose deploy has no time left. */
const endMs = 5_000;

export class DedalusCommands implements CommandPort {
  readonly keepsKeys = true;

  constructor(
    private readonly client: DedalusClient,
    private readonly hint: string | undefined,
  ) {}

  async run(machineId: string, spec: CommandSpec, options: CommandOptions): Promise<CommandOutcome> {
    const { argv, cwd, env, stdin, timeoutMs } = spec;
    const { signal, idempotencyKey } = options;
    const params = { command: [...argv], cwd, env, stdin, timeoutMs };
    const told = new ToldOnce(options.onOutput);
    const onStarted = ({ executionId }: Execution): void => {
      told.started = true;
      options.onStarted?.(executionId);
    };
    // The same key answers the same execution.
    return this.overBreaks(machineId, told, options, (heard) =>
      this.client.executions.run(machineId, params, { ...heard, signal, idempotencyKey, onStarted }),
    );
  }

  async follow(machineId: string, commandId: string, options: FollowOptions): Promise<CommandOutcome> {
    const { signal } = options;
    const told = new ToldOnce(options.onOutput);
    told.started = true;
    try {
      return await this.overBreaks(machineId, told, options, async (heard) => {
        try {
          return await this.client.executions.follow(machineId, commandId, { ...heard, signal });
        } catch (error) {
          throw error instanceof NotFoundError ? await this.whichIsGone(machineId, commandId, error) : error;
        }
      });
    } catch (error) {
      if (signal.aborted)
        await this.end(machineId, commandId, { signal: AbortSignal.timeout(endMs) }).catch(() => undefined);
      throw error;
    }
  }

  async end(machineId: string, commandId: string, { signal }: CallOptions): Promise<void> {
    try {
      const { status } = await this.client.executions.get(machineId, commandId, { signal });
      // An execution that has ended would be removed by it.
      if (!isFinished(status)) await this.client.executions.delete(machineId, commandId, { signal });
    } catch (error) {
      if (!(error instanceof NotFoundError)) throw translateError(error, { machineId, hint: this.hint });
    }
  }

  async *list(machineId: string, { signal }: CallOptions): AsyncGenerator<CommandView, void> {
    try {
      for await (const execution of this.client.executions.list(machineId, {}, { signal }))
        yield viewOf(execution);
    } catch (error) {
      throw translateError(error, { machineId, hint: this.hint });
    }
  }

  /** What is followed is followed on when its connection breaks: what it wrote is read again, and told once. */
  private async overBreaks(
    machineId: string,
    told: ToldOnce,
    { signal, onOutput }: FollowOptions,
    attempt: (heard: Heard) => Promise<RunResult>,
  ): Promise<CommandOutcome> {
    for (let failures = 0; ; failures += 1) {
      try {
        return outcomeOf(machineId, await attempt(told.fromTheStart()), onOutput);
      } catch (error) {
        const refusal = translateError(error, { machineId, hint: this.hint });
        const passing = refusal instanceof RefusedError && refusal.retryable;
        if (!told.started || !passing || failures >= maxFailures) throw refusal;
        const pause = refusal.retryAfterMs ?? Math.min(firstPauseMs * 2 ** failures, longestPauseMs);
        await sleep(pause, undefined, { signal }).catch(() => undefined);
        // Also for an abort during the pause: the next attempt ends the command, and throws the signal's reason.
      }
    }
  }

  /** The service says the same of a machine and of a command that it does not know. */
  private async whichIsGone(machineId: string, commandId: string, cause: NotFoundError): Promise<unknown> {
    try {
      await this.client.machines.get(machineId);
    } catch (error) {
      return error;
    }
    return new NoEndError(`the service does not know execution ${commandId} any more`, {
      code: "command_unknown",
      retryable: false,
      cause,
    });
  }
}

interface Heard {
  onStdout: (chunk: string) => void;
  onStderr: (chunk: string) => void;
}

/** Hands on what was not handed on before, however often the output is read from its start. */
class ToldOnce {
  started = false;
  private readonly told = { stdout: 0, stderr: 0 };
  private heard = { stdout: 0, stderr: 0 };

  constructor(private readonly onOutput: CommandOptions["onOutput"]) {}

  fromTheStart(): Heard {
    this.heard = { stdout: 0, stderr: 0 };
    return {
      onStdout: (chunk) => this.hear("stdout", chunk),
      onStderr: (chunk) => this.hear("stderr", chunk),
    };
  }

  private hear(stream: Stream, chunk: string): void {
    const before = this.heard[stream];
    this.heard[stream] += chunk.length;
    const fresh = chunk.slice(Math.max(0, this.told[stream] - before));
    if (fresh === "") return;
    this.told[stream] = this.heard[stream];
    this.onOutput?.(stream, fresh);
  }
}

function outcomeOf(
  machineId: string,
  { exitCode, stdout, stderr, execution }: RunResult,
  onOutput: CommandOptions["onOutput"],
): CommandOutcome {
  const { status, errorCode, errorMessage, signal } = execution;
  const missing = [
    ...missingOf("stdout", execution.stdoutTruncated, execution.stdoutBytes, stdout),
    ...missingOf("stderr", execution.stderrTruncated, execution.stderrBytes, stderr),
  ];
  const outcome = {
    stdout,
    stderr,
    durationMs: spanOf(execution.startedAt ?? execution.createdAt, execution.completedAt),
    complete: missing.length === 0,
    ...(missing.length > 0 ? { missing: missing.join(" and ") } : {}),
  };
  if (status === "expired" || errorCode === "EXECUTION_TIMEOUT") {
    return { ...outcome, exitCode: 124, timedOut: true };
  }
  if (errorCode === "COMMAND_NOT_STARTED") {
    // As at a prompt: the words on stderr, and 127.
    const words = `${errorMessage ?? "the program could not be started"}\n`;
    onOutput?.("stderr", words);
    return { ...outcome, stderr: stderr + words, exitCode: 127 };
  }
  const code = exitCode ?? (signal === undefined ? undefined : 128 + signal);
  if (status === "cancelled" || errorCode !== undefined || code === undefined) {
    const words =
      errorMessage ?? (status === "cancelled" ? "it was cancelled by somebody else" : "no exit code");
    throw new NoEndError(`the command in machine ${machineId} has no end of its own: ${words}`, {
      code: errorCode ?? "exit_unknown",
      retryable: false,
      ...(execution.requestId === undefined ? {} : { requestId: execution.requestId }),
    });
  }
  return { ...outcome, exitCode: code };
}

function missingOf(
  stream: Stream,
  truncated: boolean | undefined,
  bytes: number | undefined,
  kept: string,
): string[] {
  if (truncated !== true) return [];
  const gone = bytes === undefined ? 0 : bytes - Buffer.byteLength(kept);
  return [gone > 0 ? `the first ${String(gone)} bytes of ${stream}` : `a part of ${stream}`];
}

const spanOf = (from: string, to: string | undefined): number =>
  to === undefined ? 0 : Math.max(0, Date.parse(to) - Date.parse(from));

function viewOf({
  executionId,
  command,
  status,
  exitCode,
  errorCode,
  createdAt,
  startedAt,
  completedAt,
}: Execution): CommandView {
  const how = exitCode === undefined ? status : `exit code ${String(exitCode)}`;
  return {
    id: executionId,
    program: programOf(command[0] ?? ""),
    outcome: errorCode === undefined ? how : `${how} (${errorCode})`,
    startedAt: startedAt ?? createdAt,
    ...(completedAt === undefined ? {} : { endedAt: completedAt }),
  };
}
