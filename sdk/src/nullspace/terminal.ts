/** An open terminal: iterate what it writes, type into it, then ask for its result. */
import type { CallOptions } from "../call";
import { CommandError } from "./command-error";
import type { StreamOptions } from "./command-stream";
import type { PtyInfo, PtyRest, TerminalSize } from "./pty-rest";
import type { PtySession, TerminalGap, TerminalOutput } from "./pty-session";
import { PulledStream } from "./pulled-stream";

export interface TerminalResult {
  /** As a shell says it: 128 + n by a signal. */
  exitCode: number;
  /** True when every byte that it wrote since it was opened or joined was handed on. */
  complete: boolean;
  gaps: TerminalGap[];
}

interface TerminalServices {
  rest: Pick<PtyRest, "kill" | "resize">;
  log: (line: string) => void;
}

const killMs = 10_000;
/** Bytes of one frame, so that it stays below what a service takes. */
const inputPiece = 262_144;

export class Terminal implements AsyncIterable<TerminalOutput>, AsyncDisposable {
  private readonly connection = new AbortController();
  private readonly stream: PulledStream<TerminalOutput, TerminalResult>;
  private typing: Promise<unknown> = Promise.resolve();

  /** Starts at once. */
  constructor(
    private readonly session: PtySession,
    private readonly services: TerminalServices,
    private readonly options: StreamOptions,
  ) {
    this.stream = new PulledStream(this.outputAndResult(), () => this.name());
    const { signal } = options;
    const onAbort = (): void => void this.abandon(signal?.reason);
    const settled = (): void => signal?.removeEventListener("abort", onAbort);
    this.stream.over.then(settled, settled);
    signal?.addEventListener("abort", onAbort, { once: true });
    this.stream.start();
  }

  /** Resolves when the service has named it. @throws what kept it from starting */
  get started(): Promise<PtyInfo> {
    return this.session.started;
  }

  get sessionId(): string {
    return this.session.info?.sessionId ?? "";
  }

  /** Names the shell in this API; not its number inside the machine. */
  get pid(): number {
    return this.session.info?.pid ?? 0;
  }

  /**
   * The end of the shell. Whoever asks without iterating gets no output: it is thrown away as it comes.
   * @throws CommandError · what refused the connection · the signal's reason
   */
  get result(): Promise<TerminalResult> {
    return this.stream.result;
  }

  /** Once. What is not read holds the terminal back. */
  [Symbol.asyncIterator](): AsyncIterator<TerminalOutput, undefined> {
    return this.stream.iterate(() => this.abandon(this.leftEarly()));
  }

  /**
   * Types into it, in the order of the calls; waits while the connection is opened anew. Resolves when the operating system
   * has taken it. @throws ConnectionError when it broke meanwhile: nobody knows how much of it has arrived then
   */
  async input(data: string | Uint8Array): Promise<void> {
    const typed = this.typing.then(() => this.type(Buffer.from(data)));
    this.typing = typed.catch(() => undefined);
    return typed;
  }

  async resize(size: TerminalSize, options?: CallOptions): Promise<void> {
    return this.services.rest.resize(this.session.plan.machineId, this.sessionId, size, options);
  }

  /** Ends the shell and what it started; the stream then tells its exit. */
  async kill(options?: CallOptions): Promise<void> {
    return this.services.rest.kill(this.session.plan.machineId, this.sessionId, options);
  }

  /** Reads no more and leaves it running, whatever `whenAborted` says. */
  async disconnect(): Promise<void> {
    await this.abandon(this.leftEarly(), "leave");
  }

  /** As leaving the loop early. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.abandon(this.leftEarly());
  }

  private async type(data: Buffer): Promise<void> {
    for (let at = 0; at < data.length; at += inputPiece) {
      const socket = await this.session.attached;
      const { id } = this.session.plan;
      const encoded = data.subarray(at, at + inputPiece).toString("base64");
      const frame = { type: "pty_input", id: `${id}_in`, session_id: this.sessionId, data_base64: encoded };
      await socket.send(JSON.stringify(frame));
    }
  }

  private async *outputAndResult(): AsyncGenerator<TerminalOutput[], TerminalResult> {
    const exitCode = yield* this.session.output(this.connection.signal);
    const { gaps } = this.session;
    return { exitCode, complete: gaps.length === 0, gaps: [...gaps] };
  }

  private abandon(reason: unknown, what = this.options.whenAborted): Promise<void> {
    return this.stream.giveUp(reason, async () => {
      const { session, services } = this;
      if (what === "kill" && session.wasAsked && session.info === undefined) {
        await session.started.catch(() => undefined); // The handshake has a limit.
      }
      this.connection.abort(reason);
      if (what !== "kill" || session.info === undefined) return;
      await services.rest
        .kill(session.plan.machineId, session.info.sessionId, { timeoutMs: killMs })
        .catch((error: Error) => services.log(`${error.message} [the terminal may still run]`));
    });
  }

  private leftEarly(): CommandError {
    const { machineId } = this.session.plan;
    return new CommandError({
      message: `${this.name()}: its output was read no further, so that its end is not known`,
      code: "command_abandoned",
      machineId,
      pid: this.session.info?.pid,
    });
  }

  private name(): string {
    const { info, plan } = this.session;
    return `${info === undefined ? "a terminal" : `terminal ${info.sessionId}`} in machine ${plan.machineId}`;
  }
}
