/** A command whose output is being read: iterate it, then ask for its result. */
import { UsageError } from "../errors";
import { CommandError } from "./command-error";
import type { CommandOutput, OutputGap } from "./exec-output";
import { stdinId, type ExecServices, type ExecSession } from "./exec-session";
import { closeStdinOf } from "./exec-stdin";

export interface CommandResult {
  /** As a shell says it: 128 + n by a signal. A code other than 0 is a result, not an error. */
  exitCode: number;
  /** Where it was learned. */
  pid?: number;
  /** What was collected: by `run` and `wait`, not by a stream that is iterated. */
  stdout?: string;
  stderr?: string;
  /** False whenever anything of the output is missing. */
  complete: boolean;
  /** What is missing, with exact counts where they can be known. */
  gaps: OutputGap[];
  /** From the call to the exit, as seen here. */
  durationMs: number;
}

export interface StreamOptions {
  signal?: AbortSignal | undefined;
  /** What becomes of the command when the signal is aborted, or iteration is left early. */
  whenAborted?: "kill" | "leave" | undefined;
}

const limits = {
  /** For the service to name a process that is being started, so that it can be ended. */
  pidMs: 5_000,
  killMs: 10_000,
} as const;

type Batch = IteratorResult<CommandOutput[], void>;

export class CommandStream implements AsyncIterable<CommandOutput>, AsyncDisposable {
  /** Resolves once the service has named the process. */
  readonly pid: Promise<number>;
  private readonly connection = new AbortController();
  private readonly batches: AsyncGenerator<CommandOutput[], void>;
  private readonly outcome = Promise.withResolvers<CommandResult>();
  private readonly startedAtMs: number;
  private ahead: Promise<Batch> | undefined;
  private reader: "none" | "iterator" | "nobody" = "none";
  private isOver = false;
  private ending: Promise<void> | undefined;
  private readonly onAbort = (): void => void this.abandon(this.options.signal?.reason);

  /** Starts at once. */
  constructor(
    private readonly services: ExecServices,
    private readonly session: ExecSession,
    private readonly options: StreamOptions,
  ) {
    this.startedAtMs = services.context.deps.now();
    const pid = Promise.withResolvers<number>();
    if (session.pid !== undefined) pid.resolve(session.pid);
    session.onStarted = pid.resolve;
    this.pid = pid.promise;
    this.outcome.promise.catch(pid.reject);
    // Whoever does not ask is not to be told by a crash.
    this.pid.catch(() => undefined);
    this.batches = session.output(this.connection.signal);
    const { signal } = options;
    signal?.addEventListener("abort", this.onAbort, { once: true });
    if (signal?.aborted) this.onAbort();
    else this.ahead = this.pull();
  }

  /**
   * The end of the command. Whoever asks without iterating gets no output: it is thrown away as it comes.
   * @throws CommandError · what refused the connection · the signal's reason
   */
  get result(): Promise<CommandResult> {
    if (this.reader === "none") setImmediate(() => void this.drain());
    return this.outcome.promise;
  }

  /** Settles with the result, and reads nothing for it. */
  get over(): Promise<unknown> {
    return this.outcome.promise;
  }

  /** Once. What is not read holds the command back; leaving the loop early ends the command, or leaves it running. */
  [Symbol.asyncIterator](): AsyncIterator<CommandOutput, undefined> {
    if (this.reader !== "none") {
      throw new UsageError({
        message: `the output of ${this.name()} is read already: iterate once, and before waiting for the result`,
        code: "invalid_argument",
      });
    }
    this.reader = "iterator";
    let batch: CommandOutput[] = [];
    let at = 0;
    const next = async (): Promise<IteratorResult<CommandOutput, undefined>> => {
      const pulled = await (this.ahead ?? this.pull());
      this.ahead = undefined;
      if (pulled.done) return { done: true, value: undefined };
      batch = pulled.value;
      at = 0;
      return step();
    };
    const step = (): Promise<IteratorResult<CommandOutput, undefined>> => {
      const value = batch[at++];
      return value === undefined ? next() : Promise.resolve({ done: false, value });
    };
    return {
      next: step,
      return: async () => {
        batch = [];
        await this.abandon(this.leftEarly());
        return { done: true, value: undefined };
      },
    };
  }

  /** Ends the process and what it started; the stream then tells its exit. */
  async kill(): Promise<void> {
    await this.services.rest.kill(this.session.plan.machineId, await this.pid);
  }

  /** Resolves when the service has taken it. */
  async sendStdin(data: string): Promise<void> {
    await this.services.rest.sendStdin(this.session.plan.machineId, await this.pid, data);
  }

  /** The command reads an end of its standard input. */
  async closeStdin(): Promise<void> {
    const pid = await this.pid;
    const { plan, socket } = this.session;
    if (!socket?.isOpen) return closeStdinOf(this.services.context, plan.machineId, pid);
    await socket.send(JSON.stringify({ type: "exec_stdin_close", id: stdinId(plan.id), pid }));
  }

  /** Reads no more and leaves the command running, whatever `whenAborted` says. */
  async disconnect(): Promise<void> {
    await this.abandon(this.leftEarly(), "leave");
  }

  /** As leaving the loop early. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.abandon(this.leftEarly());
  }

  private async pull(): Promise<Batch> {
    try {
      const pulled = await this.batches.next();
      if (!pulled.done) return pulled;
      if (!this.ending) this.succeed();
    } catch (error) {
      if (!this.ending) this.fail(error);
    }
    await this.ending; // The command is ended first, then its reader is told.
    await this.outcome.promise;
    return { done: true, value: undefined };
  }

  private async drain(): Promise<void> {
    if (this.reader !== "none") return;
    this.reader = "nobody";
    try {
      for (let pulled = await (this.ahead ?? this.pull()); !pulled.done;) pulled = await this.pull();
    } catch {
      // The result says it.
    }
  }

  private succeed(): void {
    if (this.isOver) return;
    const { pid, exitCode, gaps } = this.session;
    this.finish();
    this.outcome.resolve({
      exitCode: exitCode ?? -1,
      ...(pid === undefined ? {} : { pid }),
      complete: gaps.length === 0,
      gaps: [...gaps],
      durationMs: this.services.context.deps.now() - this.startedAtMs,
    });
  }

  private fail(reason: unknown): void {
    this.finish();
    this.outcome.reject(reason);
    this.outcome.promise.catch(() => undefined); // The same error goes to whoever iterates.
  }

  private finish(): void {
    this.isOver = true;
    this.options.signal?.removeEventListener("abort", this.onAbort);
  }

  private abandon(reason: unknown, what = this.options.whenAborted ?? "kill"): Promise<void> {
    if (this.isOver) return Promise.resolve();
    this.ending ??= this.endCommand(reason, what);
    return this.ending;
  }

  private async endCommand(reason: unknown, what: "kill" | "leave"): Promise<void> {
    const { session, services } = this;
    if (what === "kill" && session.wasAsked && session.pid === undefined) await this.pidOrTooLate();
    this.connection.abort(reason);
    void this.batches.return();
    if (what === "kill" && session.pid !== undefined) {
      await services.rest
        .kill(session.plan.machineId, session.pid, { timeoutMs: limits.killMs })
        .catch((error: Error) => services.context.deps.log(`${error.message} [it may still run]`));
    }
    this.fail(reason);
  }

  private async pidOrTooLate(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const tooLate = new Promise<void>((resolve) => (timer = setTimeout(resolve, limits.pidMs)));
    const nothing = (): void => undefined;
    await Promise.race([tooLate, this.pid.then(nothing, nothing), this.ahead?.then(nothing, nothing)]);
    clearTimeout(timer);
  }

  private leftEarly(): CommandError {
    const { machineId } = this.session.plan;
    return new CommandError({
      message: `${this.name()}: its output was read no further, so that its end is not known`,
      code: "command_abandoned",
      machineId,
      pid: this.session.pid,
    });
  }

  private name(): string {
    const { pid, plan } = this.session;
    return `${pid === undefined ? "a command" : `process ${String(pid)}`} in machine ${plan.machineId}`;
  }
}
