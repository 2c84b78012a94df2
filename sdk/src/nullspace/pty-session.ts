/**
 * One terminal from its start, or from where a caller joins it, to its exit, over dropped connections. A service that counts
 * its output goes on where we were; of one that does not, what was missed is a gap. It is started once at most.
 */
import { ConnectionError, MachinesError } from "../errors";
import type { Socket } from "../socket";
import { closedHere } from "../socket-failure";
import { machinePath } from "./calls";
import { CommandError } from "./command-error";
import { handshake } from "./handshake";
import type { SocketContext } from "./open-socket";
import { readPtyFrame, type PtyFrame } from "./pty-frames";
import type { PtyInfo } from "./pty-rest";
import { readFrames } from "./read-frames";
import { reconnecting, type Connection } from "./reconnect";

export interface TerminalGap {
  /** How many bytes are missing; undefined where nobody can know. */
  bytes: number | undefined;
}

/** What the terminal wrote, or the place where some of it is missing: `data` is empty there. */
export type TerminalOutput =
  { kind: "output"; data: Uint8Array } | ({ kind: "gap"; data: Uint8Array } & TerminalGap);

export interface PtyPlan {
  machineId: string;
  id: string;
  reattachMs: number;
  /** Members of the first frame: `pty_start` or `pty_connect`. */
  first: { type: "pty_start" | "pty_connect" } & Record<string, unknown>;
}

const nothing = new Uint8Array();

export class PtySession {
  readonly gaps: TerminalGap[] = [];
  exitCode: number | undefined;
  /** The start was sent: from now on the terminal may run. */
  wasAsked = false;
  private readonly known = Promise.withResolvers<PtyInfo>();
  /** Resolves when the service has named the terminal. */
  readonly started = this.known.promise;
  info: PtyInfo | undefined;
  /** Renewed when a connection is lost. */
  private attachment = Promise.withResolvers<Socket>();
  private isAttached = false;
  /** Bytes handed on or known to be missing; undefined where the service does not count. */
  private position: number | undefined;
  /** Where the service's next frame begins; undefined: it does not say. */
  private cursor: number | undefined;

  constructor(
    private readonly context: SocketContext,
    readonly plan: PtyPlan,
  ) {
    this.attachment.promise.catch(() => undefined);
    this.started.catch(() => undefined);
  }

  /** The open connection; waits for it while it is lost. @throws what ended the terminal, or the reading of it */
  get attached(): Promise<Socket> {
    return this.attachment.promise;
  }

  /**
   * The output, as much at a time as came together, and then the exit code.
   * @throws CommandError · what refuses the connection · the signal's reason
   */
  async *output(signal: AbortSignal): AsyncGenerator<TerminalOutput[], number> {
    const { machineId, reattachMs } = this.plan;
    let ended: unknown = closedHere({ trying: this.what(), machineId });
    try {
      const exitCode = yield* reconnecting({
        context: this.context,
        call: {
          what: this.what(),
          machineId,
          path: `${machinePath(machineId, "/ws")}?channel=pty`,
          signal,
        },
        follow: (connection) => this.follow(connection),
        giveUpMs: reattachMs,
      });
      ended = this.failed(`it has ended, with exit code ${String(exitCode)}`, "terminal_ended");
      return exitCode;
    } catch (error) {
      ended = error;
      throw error;
    } finally {
      this.known.reject(ended);
      this.lost();
      this.attachment.reject(ended);
    }
  }

  /** One connection. */
  private async *follow({ socket, ready }: Connection): AsyncGenerator<TerminalOutput[], number> {
    try {
      const [started, ...rest] = await this.attach(socket);
      ready();
      const out = this.begin(started as PtyFrame & { kind: "started" });
      this.isAttached = true;
      this.attachment.resolve(socket);
      for (let frames = rest; ; frames = await this.read(socket)) {
        for (const frame of frames) this.take(frame, out);
        if (out.length > 0) yield out.splice(0);
        if (this.exitCode !== undefined) return this.exitCode;
      }
    } finally {
      this.lost();
    }
  }

  /** @throws CommandError `command_unknown` when it is not known whether a terminal was started */
  private async attach(socket: Socket): Promise<PtyFrame[]> {
    const { machineId } = this.plan;
    const isStart = this.info === undefined && this.plan.first.type === "pty_start";
    try {
      await this.ask(socket);
      return await handshake<PtyFrame>(socket, {
        what: this.what(),
        machineId,
        read: () => this.read(socket),
        isAnswer: ({ kind }) => kind === "started",
      });
    } catch (cause) {
      if (!isStart || !this.wasAsked || !(cause instanceof ConnectionError) || !cause.retryable) throw cause;
      throw new CommandError({
        message:
          `${this.what()}: the connection broke before the service said whether it has started, and it is not ` +
          `started twice. pty.list shows the terminals that run.`,
        code: "command_unknown",
        machineId,
        cause,
      });
    }
  }

  private async ask(socket: Socket): Promise<void> {
    const { id, first } = this.plan;
    const { info, position: offset } = this;
    if (info === undefined) {
      if (socket.isOpen) this.wasAsked = true;
      return socket.send(JSON.stringify({ ...first, id }));
    }
    const { sessionId } = info;
    await socket.send(JSON.stringify({ type: "pty_connect", id, session_id: sessionId, offset }));
  }

  private async read(socket: Socket): Promise<PtyFrame[]> {
    const { machineId } = this.plan;
    let pid = this.info?.pid;
    return readFrames(socket, { trying: this.what(), machineId }, (text) => {
      const frame = readPtyFrame(text);
      if (frame.id !== undefined && frame.id !== this.plan.id) return undefined;
      if (frame.kind === "error") throw this.failed(frame.message, frame.code, pid);
      if (frame.kind === "started") ({ pid } = frame.terminal);
      return frame;
    });
  }

  private begin({ terminal, offset }: PtyFrame & { kind: "started" }): TerminalOutput[] {
    const out: TerminalOutput[] = [];
    if (offset === undefined || this.position === undefined) {
      if (this.info !== undefined) this.missing(undefined, out);
      this.position = offset;
    } else this.skippedTo(offset, out);
    this.cursor = offset;
    this.info = terminal;
    this.known.resolve(terminal);
    return out;
  }

  private take(frame: PtyFrame, out: TerminalOutput[]): void {
    switch (frame.kind) {
      case "output":
        this.wrote(frame.data, frame.offset, out);
        return;
      case "gap":
        this.position ??= frame.offset;
        this.cursor = frame.offset + frame.bytes;
        this.skippedTo(this.cursor, out);
        return;
      case "exit":
        // No shell ends so: the service itself does not know.
        if (frame.exitCode < 0) throw this.failed("the service does not know how it ended", "exit_unknown");
        this.exitCode = frame.exitCode;
        return;
      case "started":
      case "error":
      case "other":
        return;
    }
  }

  private wrote(data: Buffer, offset: number | undefined, out: TerminalOutput[]): void {
    const at = offset ?? this.cursor;
    if (at === undefined) return void out.push({ kind: "output", data });
    this.cursor = at + data.length;
    this.position ??= at;
    this.skippedTo(at, out);
    // What was handed on before does not come twice.
    const rest = data.subarray(this.position - at);
    if (rest.length > 0) out.push({ kind: "output", data: rest });
    this.position += rest.length;
  }

  /** What lies between our place and this one does not come. */
  private skippedTo(offset: number, out: TerminalOutput[]): void {
    if (this.position === undefined || offset <= this.position) return;
    this.missing(offset - this.position, out);
    this.position = offset;
  }

  private missing(bytes: number | undefined, out: TerminalOutput[]): void {
    this.gaps.push({ bytes });
    out.push({ kind: "gap", data: nothing, bytes });
  }

  private lost(): void {
    if (!this.isAttached) return;
    this.isAttached = false;
    this.attachment = Promise.withResolvers<Socket>();
    this.attachment.promise.catch(() => undefined);
  }

  private failed(message: string, code: string | undefined, pid = this.info?.pid): MachinesError {
    const { machineId } = this.plan;
    const text = this.context.redact(`${this.what()}: ${message}`);
    return new CommandError({ message: text, code: code ?? "exec_failed", machineId, pid });
  }

  private what(): string {
    const { machineId } = this.plan;
    const { info } = this;
    const which = info === undefined ? "open a terminal" : `follow terminal ${info.sessionId}`;
    return `${which} in machine ${machineId}`;
  }
}
