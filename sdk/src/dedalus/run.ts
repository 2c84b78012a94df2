/** `executions.run` and `follow`: start a command, or find it again, follow its events, and say how it ended. */
import type { Deps } from "../deps";
import type { CallOptions, MutationOptions } from "../call";
import type { CreateExecutionParams, Executions } from "./executions";
import { isFinished } from "./rules";
import type { Execution, ExecutionEvent } from "./wire";

export interface OutputCallbacks {
  /** Each piece of standard output as it comes. When it throws, `run` cancels the command. */
  onStdout?: ((chunk: string) => void) | undefined;
  /** Each piece of standard error as it comes. When it throws, `run` cancels the command. */
  onStderr?: ((chunk: string) => void) | undefined;
}

export interface RunOptions extends MutationOptions, OutputCallbacks {
  /** The service has accepted the command: a later call with the same key follows it. When it throws, the command is cancelled. */
  onStarted?: ((execution: Execution) => void) | undefined;
}

export interface FollowExecutionOptions extends CallOptions, OutputCallbacks {}

export interface RunResult {
  /** Undefined when the command did not exit by itself: see `execution.status`, `signal`, `errorMessage`. */
  exitCode: number | undefined;
  /** All of it, as far as the service keeps it: see `execution.stdoutTruncated`. */
  stdout: string;
  stderr: string;
  execution: Execution;
}

export const runDefaults = {
  /** Between two looks at a running command, from this ... */
  firstPollMs: 50,
  /** ... to this while nothing happens. */
  longestPollMs: 1_000,
  /** For the answer to a create that was given up, and for the cancelling. */
  cancelMs: 5_000,
} as const;

export async function runExecution(
  executions: Executions,
  deps: Deps,
  machineId: string,
  params: CreateExecutionParams,
  options: RunOptions,
): Promise<RunResult> {
  const { signal } = options;
  signal?.throwIfAborted();
  const created = await createUntilKnown(executions, deps, machineId, params, options);
  const follower = new EventFollower(executions, machineId, created.executionId, options);
  try {
    follower.tell(() => options.onStarted?.(created));
    return await untilEnded(executions, deps, { machineId, known: created }, follower, options);
  } catch (error) {
    if (signal?.aborted || follower.callerFailed) await cancel(executions, deps, machineId, created);
    throw error;
  }
}

export async function followExecution(
  executions: Executions,
  deps: Deps,
  machineId: string,
  executionId: string,
  options: FollowExecutionOptions,
): Promise<RunResult> {
  const { signal, timeoutMs } = options;
  const found = await executions.get(machineId, executionId, { signal, timeoutMs });
  const follower = new EventFollower(executions, machineId, executionId, options);
  return untilEnded(executions, deps, { machineId, known: found }, follower, options);
}

async function untilEnded(
  executions: Executions,
  deps: Deps,
  { machineId, known }: { machineId: string; known: Execution },
  follower: EventFollower,
  { signal, timeoutMs }: FollowExecutionOptions,
): Promise<RunResult> {
  const { executionId } = known;
  const call = { signal, timeoutMs };
  let execution = known;
  for (let pollMs: number = runDefaults.firstPollMs; !isFinished(execution.status);) {
    await deps.sleep(execution.retryAfterMs ?? pollMs * (0.75 + 0.25 * deps.random()), signal);
    const moved = await follower.catchUp();
    pollMs = moved ? runDefaults.firstPollMs : Math.min(pollMs * 1.5, runDefaults.longestPollMs);
    execution = await executions.get(machineId, executionId, call);
  }
  // The last pieces may have come between the last look and the end.
  await follower.catchUp();
  const { stdout, stderr } = await executions.output(machineId, executionId, call);
  return { exitCode: execution.exitCode, stdout, stderr, execution };
}

/** A create that is given up half-way may still start the command: wait a little for its id, so that it can be cancelled. */
async function createUntilKnown(
  executions: Executions,
  deps: Deps,
  machineId: string,
  params: CreateExecutionParams,
  { signal, timeoutMs, idempotencyKey }: RunOptions,
): Promise<Execution> {
  const late = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const onAbort = (): void => {
    timer = setTimeout(() => late.abort(signal?.reason), runDefaults.cancelMs);
  };
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    const execution = await executions.create(machineId, params, {
      signal: late.signal,
      timeoutMs,
      idempotencyKey,
    });
    if (signal?.aborted) {
      await cancel(executions, deps, machineId, execution);
      throw signal.reason;
    }
    return execution;
  } catch (error) {
    throw signal?.aborted ? signal.reason : error;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }
}

async function cancel(
  executions: Executions,
  deps: Deps,
  machineId: string,
  { executionId }: Execution,
): Promise<void> {
  try {
    await executions.delete(machineId, executionId, { timeoutMs: runDefaults.cancelMs });
  } catch (error) {
    // The caller learns why the run ended; that the cancelling failed too is for the log.
    deps.log(
      `execution ${executionId} could not be cancelled: ${error instanceof Error ? error.message : "?"}`,
    );
  }
}

/** Hands on each chunk once and in order, whatever the pages repeat. */
class EventFollower {
  callerFailed = false;
  private cursor: string | undefined;
  private lastSequence = -Infinity;

  constructor(
    private readonly executions: Executions,
    private readonly machineId: string,
    private readonly executionId: string,
    private readonly options: FollowExecutionOptions,
  ) {}

  /** Reads to the present end; true when anything new came. */
  async catchUp(): Promise<boolean> {
    const { signal, timeoutMs } = this.options;
    let moved = false;
    for (;;) {
      const params = { cursor: this.cursor };
      const events = this.executions.events(this.machineId, this.executionId, params, { signal, timeoutMs });
      const page = await events.page();
      for (const event of page.items) {
        if (event.sequence <= this.lastSequence) continue;
        this.lastSequence = event.sequence;
        moved = true;
        this.handOn(event);
      }
      // Without a next cursor this page may still grow, so it is read again from its start.
      if (page.nextCursor === undefined || page.nextCursor === this.cursor) return moved;
      this.cursor = page.nextCursor;
      if (page.items.length === 0) return moved;
    }
  }

  private handOn({ type, chunk }: ExecutionEvent): void {
    if (!chunk) return;
    this.tell(() => {
      if (type === "stdout") this.options.onStdout?.(chunk);
      if (type === "stderr") this.options.onStderr?.(chunk);
    });
  }

  /** Calls the caller back, and remembers when that fails. */
  tell(callback: () => void): void {
    try {
      callback();
    } catch (error) {
      this.callerFailed = true;
      throw error;
    }
  }
}
