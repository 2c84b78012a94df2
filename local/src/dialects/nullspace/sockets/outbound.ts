/**
 * What goes out of a socket. Nothing is piled up: whoever has much to send asks for room first, so that what waits for a
 * slow reader is the system's own buffer and the one frame that went over it.
 */
import type { Duplex } from "node:stream";
import type { WebSocket } from "ws";
import { frameBytes } from "./frame-memory";

export class Outbound {
  private draining: Promise<void> | undefined;

  constructor(
    private readonly socket: WebSocket,
    private readonly raw: Duplex,
  ) {}

  /** Dropped when the socket is closed: whoever sends finds that out by `isOpen`. */
  send(frame: object): void {
    if (!this.isOpen) return;
    const text = JSON.stringify(frame);
    const large = frameBytes(text);
    // Called at the socket's end, too.
    if (large) this.socket.send(large.bytes, { binary: false }, large.release);
    else this.sendText(text);
  }

  /** JSON that was made once for many sockets, as text or as its bytes. */
  sendText(text: string | Buffer): void {
    if (this.isOpen) this.socket.send(text, { binary: false });
  }

  /** What `send` sends goes to the system in one piece. */
  together<T>(send: () => T): T {
    this.raw.cork();
    try {
      return send();
    } finally {
      this.raw.uncork();
    }
  }

  /** What is sent until the returned function is called goes to the system in one piece. */
  hold(): () => void {
    this.raw.cork();
    return () => this.raw.uncork();
  }

  get isOpen(): boolean {
    return this.socket.readyState === this.socket.OPEN;
  }

  /** The reader has yet to take what was sent. */
  get isFull(): boolean {
    return this.raw.writableNeedDrain;
  }

  /** Bytes that the system has taken so far. */
  get taken(): number {
    const { bytesWritten = 0 } = this.raw as { bytesWritten?: number };
    return bytesWritten - this.raw.writableLength;
  }

  /** Resolves when there is room for a frame, or the socket is gone. */
  async room(): Promise<void> {
    while (this.isFull && this.isOpen) await this.drained();
  }

  /** One wait for all that wait: a socket may carry many commands. */
  private drained(): Promise<void> {
    this.draining ??= new Promise((resolve) => {
      const done = () => {
        this.raw.off("drain", done).off("close", done);
        this.draining = undefined;
        resolve();
      };
      this.raw.once("drain", done).once("close", done);
    });
    return this.draining;
  }
}
