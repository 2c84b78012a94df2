/**
 * A WebSocket that is read by pulling: a slow reader pauses the connection, so that memory stays bounded. Watches
 * that the other side is alive; every end is a typed error without a key in it. Knows nothing of machines.
 */
import WebSocket from "ws";
import type { ErrorManners } from "./answer-failure";
import type { FailedCall } from "./connection-failure";
import type { MachinesError } from "./errors";
import type { Redact } from "./redact";
import {
  brokenSocket,
  closedHere,
  closedSocket,
  noCloseFrame,
  silentSocket,
  withoutSecrets,
} from "./socket-failure";

export interface SocketLimits {
  /** From the first byte sent to the open socket, for each try. */
  openTimeoutMs: number;
  /** Tries after the first one. */
  maxRetries: number;
  /** Between two pings. */
  pingMs: number;
  /** Silence after a ping, past which the connection counts as dead. */
  pongMs: number;
  /** Largest frame that is taken; past it ProtocolError `frame_too_large`. */
  maxFrameBytes: number;
  /** Bytes that wait to be read; past it the connection is paused. */
  queueBytes: number;
  /** For the other side to answer our close, before the connection is cut. */
  closeMs: number;
}

export const socketDefaults: SocketLimits = {
  openTimeoutMs: 15_000,
  maxRetries: 2,
  pingMs: 20_000,
  pongMs: 20_000,
  maxFrameBytes: 16 * 1024 * 1024,
  queueBytes: 1024 * 1024,
  closeMs: 2_000,
};

/** What a waiting frame costs beyond its bytes. */
const frameOverheadBytes = 64;

export interface SocketHost {
  call: FailedCall;
  manners: ErrorManners;
  redact: Redact;
  limits: SocketLimits;
  /** Ends the socket; reading then throws its reason. */
  signal?: AbortSignal | undefined;
}

/** Made by `openSocket`. One reader at a time. */
export class Socket implements AsyncDisposable {
  /** Resolves when nothing is left of the connection, its timers included. */
  readonly gone: Promise<void>;
  private queue: string[] = [];
  private queuedBytes = 0;
  private isPaused = false;
  private wake: (() => void) | undefined;
  /** What reading throws once the queue is empty; undefined when this side has closed. */
  private ending: { thrown: Error | undefined } | undefined;
  private isClosing = false;
  private wasAnswered = false;
  private heard = true;
  private beat: NodeJS.Timeout | undefined;
  private patience: NodeJS.Timeout | undefined;
  private readonly onAbort = (): void => {
    this.queue = [];
    this.end(this.host.signal?.reason as Error);
    void this.close();
  };

  /** @param ws open */
  constructor(
    private readonly ws: WebSocket,
    private readonly host: SocketHost,
  ) {
    let resolveGone = (): void => undefined;
    this.gone = new Promise((resolve) => (resolveGone = resolve));
    ws.on("message", (data: Buffer) => this.take(data));
    ws.on("ping", () => (this.heard = true));
    ws.on("pong", () => (this.heard = true));
    ws.on("error", (error) => this.end(this.broken(error)));
    ws.on("close", (code, reason) => {
      this.wasAnswered = code !== noCloseFrame;
      this.stopWatching();
      host.signal?.removeEventListener("abort", this.onAbort);
      this.end(this.clean(closedSocket(host.call, code, reason.toString())));
      resolveGone();
    });
    this.beat = setInterval(() => this.ping(), host.limits.pingMs);
    if (host.signal?.aborted) this.onAbort();
    else host.signal?.addEventListener("abort", this.onAbort, { once: true });
  }

  /**
   * The frames that have come, in order; waits for at least one. Undefined once this side has closed the socket.
   * @throws ConnectionError `socket_closed` (whatever the code), `connection_lost`, `socket_silent` · ProtocolError
   * `frame_too_large`, `unreadable_frame` · the signal's reason. What came before is read first.
   */
  async read(): Promise<string[] | undefined> {
    for (;;) {
      if (this.queue.length > 0) {
        const frames = this.queue;
        this.queue = [];
        this.queuedBytes = 0;
        this.resume();
        return frames;
      }
      if (this.ending) {
        if (this.ending.thrown === undefined) return undefined;
        throw this.ending.thrown;
      }
      await new Promise<void>((resolve) => (this.wake = resolve));
      this.wake = undefined;
    }
  }

  /** False once it is known that nothing more can be sent. */
  get isOpen(): boolean {
    return this.ending === undefined && this.ws.readyState === WebSocket.OPEN;
  }

  /** Resolves when the operating system has taken the frame. @throws what ended the socket. */
  async send(text: string): Promise<void> {
    if (this.ending) throw this.ending.thrown ?? this.clean(closedHere(this.host.call));
    if (!this.isOpen) throw this.clean(closedSocket(this.host.call, 1006, ""));
    await new Promise<void>((resolve, reject) => {
      this.ws.send(text, (error) => {
        if (!error) return resolve();
        reject(this.ending?.thrown ?? this.broken(error));
      });
    });
  }

  /** A normal close; resolves when nothing is left of the connection. What was not read is thrown away. */
  async close(code = 1000): Promise<void> {
    if (!this.isClosing) {
      this.isClosing = true;
      this.stopWatching();
      if (!this.ending) this.queue = [];
      this.end(undefined);
      // The other side's close comes after what it has sent already.
      this.ws.resume();
      this.ws.close(code);
      const timer = setTimeout(() => this.ws.terminate(), this.host.limits.closeMs);
      void this.gone.then(() => clearTimeout(timer));
    }
    await this.gone;
  }

  /** As `close`, where it matters that the other side has read all that was sent. @throws ConnectionError `connection_lost` */
  async closeAnswered(): Promise<void> {
    await this.close();
    if (!this.wasAnswered) throw this.clean(closedSocket(this.host.call, noCloseFrame, ""));
  }

  /** Ends the socket with an error of the caller's, which reading throws once what has come is read. */
  fail(error: Error): void {
    this.end(error);
    void this.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private take(data: Buffer): void {
    this.heard = true;
    if (this.isClosing) return;
    this.queue.push(data.toString());
    this.queuedBytes += data.length + frameOverheadBytes;
    if (this.queuedBytes > this.host.limits.queueBytes && !this.isPaused) {
      this.isPaused = true;
      this.ws.pause();
    }
    this.wake?.();
  }

  private resume(): void {
    if (!this.isPaused) return;
    this.isPaused = false;
    this.heard = true;
    this.ws.resume();
  }

  private ping(): void {
    // A pong cannot be read while the reader takes its time; that is not the other side's silence.
    if (this.isPaused || (this.patience !== undefined && !this.heard)) return;
    clearTimeout(this.patience);
    this.heard = false;
    this.ws.ping();
    const patience = setTimeout(() => {
      // What has arrived while this process was busy is read first.
      setImmediate(() => {
        if (this.patience === patience && !this.heard && !this.isPaused) this.giveUp();
      });
    }, this.host.limits.pongMs);
    this.patience = patience;
  }

  private giveUp(): void {
    this.end(this.clean(silentSocket(this.host.call, this.host.limits.pongMs)));
    this.ws.terminate();
  }

  private stopWatching(): void {
    clearInterval(this.beat);
    clearTimeout(this.patience);
  }

  private end(thrown: Error | undefined): void {
    this.ending ??= { thrown };
    this.wake?.();
  }

  private broken(error: Error): MachinesError {
    const { call, limits, manners } = this.host;
    return this.clean(brokenSocket(error, call, limits.maxFrameBytes, manners));
  }

  private clean(error: MachinesError): MachinesError {
    return withoutSecrets(error, this.host.redact);
  }
}
