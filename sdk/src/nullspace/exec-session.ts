/**
 * One command followed from its start, or from where a caller joins it, to its exit, over dropped connections. A service
 * that counts its output goes on exactly where we were; for one that does not, the logs fill what was missed. The command is
 * started once at most, and a close without an exit is never taken for one.
 */
import type { Socket } from "../socket";
import { MachinesError, UsageError } from "../errors";
import { machinePath } from "./calls";
import { CommandError } from "./command-error";
import { readExecFrame, type ExecFrame } from "./exec-frames";
import { ExecLogs, type LogReader } from "./exec-logs";
import { OutputPosition, type CommandOutput, type OutputGap } from "./exec-output";
import { unknownStart } from "./exec-unknown";
import { execBody, type ExecParams, type ExecRest } from "./exec-rest";
import { maxFrameBytes } from "./frames";
import { openApiSocket, type SocketContext } from "./open-socket";
import { readFrames } from "./read-frames";

export interface ExecServices {
  context: SocketContext;
  rest: Pick<ExecRest, "list" | "logs" | "kill" | "sendStdin">;
}

/** Where to begin in a command that runs already, in bytes of each stream. */
export type FollowFrom = "start" | "live" | { stdout: number; stderr: number };

export type ExecPlan = { machineId: string; id: string; reattachMs: number } & (
  { start: ExecParams } | { pid: number; from: FollowFrom }
);

export const execDefaults = {
  /** How long a connection that broke is opened anew before the command is given up. */
  reattachMs: 120_000,
  longestReattachDelayMs: 5_000,
  /** A connection that lasted this long was no failure. */
  steadyMs: 10_000,
} as const;

export class ExecSession {
  readonly gaps: OutputGap[] = [];
  pid: number | undefined;
  exitCode: number | undefined;
  /** The start was sent: from now on the command may run. */
  wasAsked = false;
  /** Called once the service has named the process. */
  onStarted: (pid: number) => void = () => undefined;
  private readonly over = Promise.withResolvers<void>();
  /** Resolves when nothing more is read, for whatever reason. */
  readonly ended = this.over.promise;
  /** The open connection, for what is sent meanwhile. */
  socket: Socket | undefined;
  /** Said again on a new connection: the one that broke may have lost it. */
  stdinIsClosed = false;
  private readonly stdout = new OutputPosition("stdout", this.gaps);
  private readonly stderr = new OutputPosition("stderr", this.gaps);
  private readonly logs: ExecLogs;
  private wasAttached = false;
  /** True when the logs, not the frames, tell what is new. */
  private readsLogs = false;
  /** Set once the service has answered on this connection. */
  private attachedAt: number | undefined;
  private failure: CommandError | undefined;
  /** Why the service does not attach us. */
  private refusal: CommandError | undefined;

  constructor(
    private readonly services: ExecServices,
    readonly plan: ExecPlan,
  ) {
    if ("pid" in plan) {
      this.pid = plan.pid;
      if (typeof plan.from === "object") {
        this.stdout.startAt(plan.from.stdout);
        this.stderr.startAt(plan.from.stderr);
      }
    }
    const reader: LogReader = {
      read: (signal) => services.rest.logs(plan.machineId, this.requirePid(), { signal }),
      list: (signal) => services.rest.list(plan.machineId, { signal }),
    };
    this.logs = new ExecLogs(reader, this.stdout, this.stderr, services.context.deps);
  }

  /**
   * The output, as much at a time as came together, and then the exit code.
   * @throws CommandError · what refuses the first connection · the signal's reason
   */
  async *output(signal: AbortSignal): AsyncGenerator<CommandOutput[], number> {
    try {
      yield* this.untilExit(signal);
      // Without one, something was thrown.
      return this.exitCode ?? -1;
    } finally {
      this.over.resolve();
    }
  }

  /** On the open connection. @throws what ended it */
  async closeStdin(): Promise<void> {
    const frame = { type: "exec_stdin_close", id: stdinId(this.plan.id), pid: this.requirePid() };
    await this.socket?.send(JSON.stringify(frame));
  }

  private async *untilExit(signal: AbortSignal): AsyncGenerator<CommandOutput[], void> {
    const { deps } = this.services.context;
    let failures = 0;
    for (let lostAt: number | undefined; ;) {
      this.attachedAt = undefined;
      const failed = yield* this.connect(signal);
      if (failed === undefined) return;
      signal.throwIfAborted();
      const now = deps.now();
      if (this.attachedAt !== undefined) {
        lostAt = now;
        if (now - this.attachedAt >= execDefaults.steadyMs) failures = 0;
      }
      lostAt ??= now;
      if (!failed.retryable || now - lostAt >= this.plan.reattachMs)
        return yield* this.settle(failed, signal);
      const delayMs = reattachDelay(failures++, deps.random());
      deps.log(`${failed.message} [${failed.code}; attaching again in ${String(delayMs)} ms]`);
      await deps.sleep(delayMs, signal);
    }
  }

  /** One connection. Returns why it ended, or undefined at the command's exit. */
  private async *connect(signal: AbortSignal): AsyncGenerator<CommandOutput[], MachinesError | undefined> {
    const socket = await this.open(signal);
    if (socket instanceof MachinesError) return socket;
    this.socket = socket;
    try {
      await this.ask(socket);
      yield* this.follow(socket, signal);
      return undefined;
    } catch (error) {
      signal.throwIfAborted();
      if (error === this.refusal) return this.refusal;
      if (!isPassing(error)) throw error;
      if (this.pid !== undefined || !this.wasAsked) return error;
      throw await unknownStart(this.services.rest, this.plan, error);
    } finally {
      this.socket = undefined;
      void socket.close();
    }
  }

  /** @throws what refuses the first connection: nothing has been started then */
  private async open(signal: AbortSignal): Promise<Socket | MachinesError> {
    const { machineId } = this.plan;
    const isFirst = !this.wasAttached;
    const what = this.pid === undefined ? "run a command" : `follow process ${String(this.pid)}`;
    try {
      return await openApiSocket(this.services.context, {
        what: `${what} in machine ${machineId}`,
        machineId,
        path: `${machinePath(machineId, "/ws")}?channel=exec`,
        signal,
        maxRetries: isFirst ? undefined : 0,
      });
    } catch (error) {
      signal.throwIfAborted();
      if (isFirst || !(error instanceof MachinesError) || error.code === "client_closed") throw error;
      return error;
    }
  }

  private async ask(socket: Socket): Promise<void> {
    const { plan } = this;
    const { id } = plan;
    if (this.pid !== undefined) {
      const isLive = "from" in plan && plan.from === "live" && !this.wasAttached;
      const offsets =
        isLive || this.stdout.isVague || this.stderr.isVague
          ? {}
          : { stdout_offset: this.stdout.bytes, stderr_offset: this.stderr.bytes };
      return socket.send(JSON.stringify({ type: "exec_connect", id, pid: this.pid, ...offsets }));
    }
    if (!("start" in plan)) return;
    const text = startFrame(plan.machineId, id, plan.start);
    if (socket.isOpen) this.wasAsked = true;
    await socket.send(text);
  }

  private async *follow(socket: Socket, signal: AbortSignal): AsyncGenerator<CommandOutput[], void> {
    for (;;) {
      const frames = await readFrames(socket, { trying: "follow a command" }, readExecFrame);
      const out: CommandOutput[] = [];
      let hasNews = false;
      for (const frame of frames) {
        if (frame.kind === "output" && this.readsLogs) hasNews = true;
        else hasNews = this.take(frame, out) || hasNews;
        if (this.exitCode !== undefined || this.failure || this.refusal) break;
      }
      if (out.length > 0) yield out;
      if (this.readsLogs && !this.failure && (hasNews || this.exitCode !== undefined)) {
        yield* this.lookAgain(signal);
      }
      const thrown = this.failure ?? this.refusal;
      if (thrown) throw thrown;
      if (this.exitCode !== undefined) return;
    }
  }

  /** True when the logs should be looked at. */
  private take(frame: ExecFrame, out: CommandOutput[]): boolean {
    switch (frame.kind) {
      case "output":
        this[frame.stream].frame(frame.data, frame.offset, frame.bytes, out);
        return false;
      case "gap":
        this[frame.stream].skipped(frame.offset, frame.bytes, out);
        return false;
      case "started":
        return this.attached(frame, out);
      case "exit":
        this.exited(frame, out);
        return false;
      case "error":
        if (frame.id === stdinId(this.plan.id)) return false;
        // A process that cannot be attached to may have ended: its logs may tell.
        if (this.pid !== undefined && this.attachedAt === undefined) this.refusal = this.failed(frame);
        else this.failure = this.failed(frame);
        return false;
      case "other":
        return false;
    }
  }

  private attached(frame: ExecFrame & { kind: "started" }, out: CommandOutput[]): boolean {
    const { plan } = this;
    const isFirst = !this.wasAttached;
    this.wasAttached = true;
    this.attachedAt = this.services.context.deps.now();
    if (this.pid === undefined) {
      this.pid = frame.pid;
      this.onStarted(frame.pid);
    }
    if (!isFirst && this.stdinIsClosed) this.closeStdin().catch(() => undefined); // its connection says why
    const counts = frame.stdoutOffset !== undefined && frame.stderrOffset !== undefined;
    const isLive = "from" in plan && plan.from === "live" && isFirst;
    this.stdout.begin(frame.stdoutOffset);
    this.stderr.begin(frame.stderrOffset);
    if (isLive) {
      this.stdout.startAt(frame.stdoutOffset);
      this.stderr.startAt(frame.stderrOffset);
    }
    const isBeginning = "start" in plan && isFirst;
    const goesOn = counts ? !(this.stdout.isVague || this.stderr.isVague) : isBeginning;
    this.readsLogs = !counts && !goesOn && !isLive && this.logs.areKept;
    if (!goesOn && !isLive && !this.readsLogs) this.missing(out);
    return this.readsLogs;
  }

  private exited(frame: ExecFrame & { kind: "exit" }, out: CommandOutput[]): void {
    if (frame.exitCode < 0) {
      // No process ends so: the service itself does not know.
      this.failure = this.exitUnknown("the service does not know its exit code");
      return;
    }
    this.exitCode = frame.exitCode;
    if (this.readsLogs) return;
    this.stdout.end(frame.stdoutBytes, out);
    this.stderr.end(frame.stderrBytes, out);
  }

  private async *lookAgain(signal: AbortSignal): AsyncGenerator<CommandOutput[], void> {
    const code = this.exitCode;
    const look = code === undefined ? this.logs.look(signal) : this.logs.lookUntilEnded(signal);
    const seen = yield* look;
    if (seen === "not kept") {
      const out: CommandOutput[] = [];
      this.readsLogs = false;
      this.missing(out);
      yield out;
    } else if (seen.kind === "failed") {
      this.failure = this.failed(seen);
    } else if (seen.kind === "ended") {
      this.exitCode ??= seen.exitCode;
    }
  }

  /** The socket cannot be opened any more: what can be learned otherwise. @throws CommandError `exit_unknown` */
  private async *settle(cause: MachinesError, signal: AbortSignal): AsyncGenerator<CommandOutput[], void> {
    if (this.pid === undefined) throw cause;
    const seen = yield* this.logs.followUntilEnded(this.pid, signal);
    if (seen.kind === "failed") throw this.failed(seen);
    if (seen.kind === "ended") this.exitCode = seen.exitCode;
    else if (this.exitCode !== undefined) {
      const out: CommandOutput[] = [];
      this.missing(out);
      yield out;
    } else if (this.wasAttached) throw this.exitUnknown(seen.why, seen.cause ?? cause);
    else throw cause;
  }

  private missing(out: CommandOutput[]): void {
    this.stdout.missing(undefined, out);
    this.stderr.missing(undefined, out);
  }

  private failed({ message, code }: { message: string; code?: string | undefined }): CommandError {
    const { redact } = this.services.context;
    const { machineId } = this.plan;
    const which = this.pid === undefined ? "run a command" : `process ${String(this.pid)}`;
    return new CommandError({
      message: redact(`${which} in machine ${machineId}: ${message}`),
      code: code ?? "exec_failed",
      machineId,
      pid: this.pid,
    });
  }

  private exitUnknown(why: string, cause?: unknown): CommandError {
    const { machineId } = this.plan;
    const pid = this.requirePid();
    return new CommandError({
      message:
        `process ${String(pid)} in machine ${machineId}: how it ended is not known: ${why}. ` +
        `It may still run: look with commands.list, or go on with commands.connect(${String(pid)}).`,
      code: "exit_unknown",
      machineId,
      pid,
      retryable: true,
      cause,
    });
  }

  private requirePid(): number {
    if (this.pid !== undefined) return this.pid;
    throw new Error("asked for the pid of a command that has not started");
  }
}

/** True when a new connection may help. */
const isPassing = (error: unknown): error is MachinesError =>
  error instanceof MachinesError && error.retryable && !(error instanceof CommandError);

/** Correlates what is written to standard input, so that its errors are not taken for the command's. */
export const stdinId = (id: string): string => `${id}_in`;

/** @throws UsageError `invalid_argument` */
function startFrame(machineId: string, id: string, params: ExecParams): string {
  const { background: _, ...body } = execBody(machineId, params, false) as Record<string, unknown>;
  const text = JSON.stringify({ type: "exec_start", id, args: [], ...body });
  if (Buffer.byteLength(text) <= maxFrameBytes) return text;
  throw new UsageError({
    message:
      `run a command in machine ${machineId}: the command with its arguments and variables is larger than ` +
      `${String(maxFrameBytes)} bytes. Write what is large to a file in the machine first.`,
    code: "invalid_argument",
  });
}

/** At once, then 0.25 s doubled up to 5 s; less up to a quarter, so that not everybody comes together. */
function reattachDelay(failures: number, random: number): number {
  if (failures === 0) return Math.round(50 * random);
  const full = Math.min(250 * 2 ** (failures - 1), execDefaults.longestReattachDelayMs);
  return Math.round(full * (0.75 + 0.25 * random));
}
