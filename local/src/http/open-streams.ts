/** Every open event stream: one heartbeat for all, and an end for all when the server stops. */
import type { ServerResponse } from "node:http";

/** A reader that lets this much pile up is cut off; it resumes by its Last-Event-ID. */
const maxUnreadBytes = 262_144;
/** Streams that get a heartbeat before the event loop gets a turn. */
const slice = 1_000;

export class OpenStreams {
  private readonly open = new Set<ServerResponse>();
  private readonly timer: NodeJS.Timeout;

  constructor(heartbeatMs: number) {
    this.timer = setInterval(() => void this.beat(), heartbeatMs).unref();
  }

  get size(): number {
    return this.open.size;
  }

  /** Begins a stream; it leaves the set by itself when its connection ends. */
  begin(response: ServerResponse, headers: Record<string, string>): void {
    response.writeHead(200, {
      ...headers,
      "content-type": "text/event-stream",
      "cache-control": "no-store",
      "x-accel-buffering": "no",
    });
    response.flushHeaders();
    this.open.add(response);
    response.once("close", () => this.open.delete(response));
  }

  /** Stops the heartbeats of a stream that stays open. */
  silence(response: ServerResponse): void {
    this.open.delete(response);
  }

  write(response: ServerResponse, frame: string): void {
    if (response.writableLength > maxUnreadBytes) response.destroy();
    else response.write(frame);
  }

  close(): void {
    clearInterval(this.timer);
    for (const response of this.open) response.end();
  }

  private async beat(): Promise<void> {
    const streams = [...this.open];
    for (let at = 0; at < streams.length; at += slice) {
      for (const response of streams.slice(at, at + slice)) this.write(response, ": heartbeat\n\n");
      await new Promise(setImmediate);
    }
  }
}
