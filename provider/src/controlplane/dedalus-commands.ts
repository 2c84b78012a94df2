/** Commands over the executions of Dedalus Cloud Services: one execution for a key, over connections that break. */
import { setTimeout as sleep } from "node:timers/promises";
import type { DedalusClient, Execution, RunResult } from "@pulumi-machines/sdk";
import { programOf } from "./command-names";
import type { CommandOptions, CommandOutcome, CommandPort, CommandSpec, CommandView } from "./command-port";
import { RefusedError, type CallOptions } from "./port";
import { translateError } from "./translate";

type Stream = "stdout" | "stderr";

/** A command that was started is followed over an outage of about a minute. */
const longestPauseMs = 10_000;
const firstPauseMs = 250;
const maxFailures = 10;

export class DedalusCommands implements CommandPort {
  constructor(
    private readonly client: DedalusClient,
    private readonly hint: string | undefined,
  ) {}

  async run(machineId: string, spec: CommandSpec, options: CommandOptions): Promise<CommandOutcome> {
    const told = new ToldOnce(options.onOutput);
    for (let failures = 0; ; failures += 1) {
      try {
        return outcomeOf(machineId, await this.follow(machineId, spec, options, told), options.onOutput);
      } catch (error) {
        const refusal = translateError(error, { machineId, hint: this.hint });
        const passing = refusal instanceof RefusedError && refusal.retryable;
        if (!told.started || !passing || failures >= maxFailures) throw refusal;
        const pause = refusal.retryAfterMs ?? Math.min(firstPauseMs * 2 ** failures, longestPauseMs);
        await sleep(pause, undefined, { signal: options.signal }).catch(() => undefined);
        // Also for an abort during the pause: the client then cancels the command, and throws the signal's reason.
      }
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

  /** The same key answers the same execution: what it wrote is read again, and told once. */
  private async follow(
    machineId: string,
    { argv, cwd, env, stdin, timeoutMs }: CommandSpec,
    { signal, idempotencyKey }: CommandOptions,
    told: ToldOnce,
  ): Promise<RunResult> {
    told.fromTheStart();
    return this.client.executions.run(
      machineId,
      { command: [...argv], cwd, env, stdin, timeoutMs },
      {
        signal,
        idempotencyKey,
        onStarted: () => {
          told.started = true;
        },
        onStdout: (chunk) => told.hear("stdout", chunk),
        onStderr: (chunk) => told.hear("stderr", chunk),
      },
    );
  }
}

/** Hands on what was not handed on before, however often the output is read from its start. */
class ToldOnce {
  started = false;
  private readonly told = { stdout: 0, stderr: 0 };
  private heard = { stdout: 0, stderr: 0 };

  constructor(private readonly onOutput: CommandOptions["onOutput"]) {}

  fromTheStart(): void {
    this.heard = { stdout: 0, stderr: 0 };
  }

  hear(stream: Stream, chunk: string): void {
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
    throw new RefusedError(`the command in machine ${machineId} has no end of its own: ${words}`, {
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
