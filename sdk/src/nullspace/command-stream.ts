/** A command whose output is being read: iterate it, then ask for its result. */
import { CommandError } from "./command-error";
import type { CommandOutput, OutputGap } from "./exec-output";
import type { ExecServices, ExecSession } from "./exec-session";
import { closeStdinOf } from "./exec-stdin";
import { PulledStream } from "./pulled-stream";

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
  /** From the call to the exit, in milliseconds, as seen here. */
  durationMs: number;
}

export interface StreamOptions {
  signal?: AbortSignal | undefined;
  /** What becomes of the command when the signal is aborted, or the loop is left early; default "kill". */
  whenAborted?: "kill" | "leave" | undefined;
}

const limits = {
  /** For the service to name a process that is being started, so that it can be ended. */
  pidMs: 5_000,
  killMs: 10_000,
} as const;

export class CommandStream implements AsyncIterable<CommandOutput>, AsyncDisposable {
  /** Resolves once the service has named the process. */
  readonly pid: Promise<number>;
  private readonly connection = new AbortController();
  private readonly stream: PulledStream<CommandOutput, CommandResult>;

  /** Starts at once. */
  constructor(
    private readonly services: ExecServices,
    private readonly session: ExecSession,
    private readonly options: StreamOptions,
  ) {
    const startedAtMs = services.context.deps.now();
    this.stream = new PulledStream(this.outputAndResult(startedAtMs), () => this.name());
    const pid = Promise.withResolvers<number>();
    if (session.pid !== undefined) pid.resolve(session.pid);
    session.onStarted = pid.resolve;
    this.pid = pid.promise;
    this.pid.catch(() => undefined); // Whoever does not ask is not told by a crash.
    const { signal } = options;
    const onAbort = (): void => void this.abandon(signal?.reason);
    const settled = (): void => signal?.removeEventListener("abort", onAbort);
    this.stream.over.then(settled, settled);
    this.stream.over.catch(pid.reject);
    signal?.addEventListener("abort", onAbort, { once: true });
    if (signal?.aborted) onAbort();
    else this.stream.start();
  }

  /**
   * The end of the command. Whoever asks without iterating gets no output: it is thrown away as it comes.
   * @throws CommandError · what refused the connection · the signal's reason
   */
  get result(): Promise<CommandResult> {
    return this.stream.result;
  }

  /** Settles with the result, and reads nothing for it. */
  get over(): Promise<CommandResult> {
    return this.stream.over;
  }

  /** Once. What is not read holds the command back; leaving the loop early ends the command, or leaves it running. */
  [Symbol.asyncIterator](): AsyncIterator<CommandOutput, undefined> {
    return this.stream.iterate(() => this.abandon(this.leftEarly()));
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
    this.session.stdinIsClosed = true;
    if (!socket?.isOpen) return closeStdinOf(this.services.context, plan.machineId, pid);
    await this.session.closeStdin();
  }

  /** Reads no more and leaves the command running, whatever `whenAborted` says. */
  async disconnect(): Promise<void> {
    await this.abandon(this.leftEarly(), "leave");
  }

  /** As leaving the loop early. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.abandon(this.leftEarly());
  }

  private async *outputAndResult(startedAtMs: number): AsyncGenerator<CommandOutput[], CommandResult> {
    const { session } = this;
    const exitCode = yield* session.output(this.connection.signal);
    const { pid, gaps } = session;
    return {
      exitCode,
      ...(pid === undefined ? {} : { pid }),
      complete: gaps.length === 0,
      gaps: [...gaps],
      durationMs: this.services.context.deps.now() - startedAtMs,
    };
  }

  private abandon(reason: unknown, what = this.options.whenAborted ?? "kill"): Promise<void> {
    return this.stream.giveUp(reason, async () => {
      const { session, services } = this;
      if (what === "kill" && session.wasAsked && session.pid === undefined) await this.pidOrTooLate();
      this.connection.abort(reason);
      if (what === "leave" || session.pid === undefined) return;
      await services.rest
        .kill(session.plan.machineId, session.pid, { timeoutMs: limits.killMs })
        .catch((error: Error) => services.context.deps.log(`${error.message} [it may still run]`));
    });
  }

  private async pidOrTooLate(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const tooLate = new Promise<void>((resolve) => (timer = setTimeout(resolve, limits.pidMs)));
    const nothing = (): void => undefined;
    await Promise.race([tooLate, this.pid.then(nothing, nothing), this.session.ended]);
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
