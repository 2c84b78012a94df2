/** `files.watch`: what changes in a folder, as it changes, over dropped connections. */
import { UsageError } from "../errors";
import type { Socket } from "../socket";
import { given, machinePath } from "./calls";
import { errorClassOf } from "./error-classes";
import { readJson, unreadable } from "./exec-frames";
import { machineServerFrame, type MachineServerFrame } from "./frames";
import { handshake } from "./handshake";
import type { SocketContext } from "./open-socket";
import { PulledStream } from "./pulled-stream";
import { readFrames } from "./read-frames";
import { reconnecting, type Connection } from "./reconnect";

/** What happened to a file; or `gap`: the connection was lost for a while, and changes may have been missed. */
export type FileChange =
  | {
      kind: "change";
      /** As the service words it: `create`, `write`, `remove`, `rename`, `chmod`. */
      event: string;
      /** Relative to the watched folder. */
      name: string;
      /** Absolute. */
      path: string;
    }
  | { kind: "gap" };

export interface WatchOptions {
  /** Folders below, too; default false. */
  recursive?: boolean | undefined;
  /** Account inside the machine; default root. */
  user?: string | undefined;
  /** Ends the watch, quietly, so many milliseconds after it stood first. Default never. */
  timeoutMs?: number | undefined;
  /** Ends the watch; the loop then throws its reason. */
  signal?: AbortSignal | undefined;
}

type WatchFrame = Extract<MachineServerFrame, { type: "file_watch_started" | "file_event" | "error" }>;

/** Why a watch ends that had its time. */
const timeIsUp = Symbol("time is up");

/** Code of an error frame that names none. */
const codeless = "file_watch_failed";

/** A watch that stands. Iterate it once; what is not read holds the service back. */
export class FileWatch implements AsyncIterable<FileChange>, AsyncDisposable {
  private readonly stopping = new AbortController();
  private readonly standing = Promise.withResolvers<void>();
  private timer: NodeJS.Timeout | undefined;
  private readonly stream: PulledStream<FileChange, void>;

  /** Starts at once. */
  constructor(
    private readonly context: SocketContext,
    private readonly machineId: string,
    private readonly path: string,
    private readonly options: WatchOptions,
  ) {
    const { signal } = options;
    this.stream = new PulledStream(this.changes(), () => this.what());
    this.stream.over.then(this.standing.resolve, this.standing.reject);
    const onAbort = (): void => void this.end(signal?.reason);
    const settled = (): void => signal?.removeEventListener("abort", onAbort);
    this.stream.over.then(settled, settled);
    signal?.addEventListener("abort", onAbort, { once: true });
    this.stream.start();
  }

  /** Resolves when every later change will be told. @throws what refused the watch */
  get started(): Promise<void> {
    return this.standing.promise;
  }

  [Symbol.asyncIterator](): AsyncIterator<FileChange, undefined> {
    return this.stream.iterate(() => this.stop());
  }

  /** Whoever iterates gets UsageError `watch_stopped`. */
  async stop(): Promise<void> {
    const { machineId } = this;
    await this.end(new UsageError({ message: `${this.what()}: stopped`, code: "watch_stopped", machineId }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  private end(reason: unknown): Promise<void> {
    return this.stream.giveUp(reason, () => {
      this.stopping.abort(reason);
      return Promise.resolve();
    });
  }

  private async *changes(): AsyncGenerator<FileChange[], void> {
    const { context, machineId, stopping } = this;
    try {
      yield* reconnecting({
        context,
        call: {
          what: this.what(),
          machineId,
          path: machinePath(machineId, "/ws"),
          signal: stopping.signal,
        },
        follow: (connection) => this.follow(connection),
      });
    } catch (error) {
      if (error !== timeIsUp) throw error;
    } finally {
      clearTimeout(this.timer);
    }
  }

  /** One connection. */
  private async *follow({ socket, isFirst, ready }: Connection): AsyncGenerator<FileChange[], never> {
    const { machineId, path, options } = this;
    const { user, recursive } = options;
    await socket.send(
      JSON.stringify({ type: "file_watch", id: watchId, path, ...given({ user, recursive }) }),
    );
    const [, ...early] = await handshake<WatchFrame>(socket, {
      what: this.what(),
      machineId,
      read: () => this.read(socket),
      isAnswer: ({ type }) => type === "file_watch_started",
    });
    ready();
    this.stands();
    if (!isFirst) yield [{ kind: "gap" }];
    for (let frames = early; ; frames = await this.read(socket)) {
      const changes = frames.flatMap((frame): FileChange[] =>
        frame.type === "file_event"
          ? [{ kind: "change", event: frame.event, name: frame.name ?? "", path: frame.path ?? "" }]
          : [],
      );
      if (changes.length > 0) yield changes;
    }
  }

  private stands(): void {
    this.standing.resolve();
    const { timeoutMs } = this.options;
    if (timeoutMs === undefined || this.timer) return;
    this.timer = setTimeout(() => this.stopping.abort(timeIsUp), timeoutMs).unref();
  }

  private async read(socket: Socket): Promise<WatchFrame[]> {
    const { machineId } = this;
    return readFrames(socket, { trying: this.what(), machineId }, (text) => {
      const frame = readWatchFrame(text);
      if (frame?.type !== "error") return frame;
      const code = frame.code?.toLowerCase() ?? codeless;
      const message = this.context.redact(`${this.what()}: ${frame.message}`);
      throw new (errorClassOf(code, 0))({ message, code, machineId });
    });
  }

  private what(): string {
    return `watch ${this.path} in machine ${this.machineId}`;
  }
}

/** One watch on each socket. */
const watchId = "watch";
const known = new Set<unknown>(["file_watch_started", "file_event", "error"]);

/** Undefined for what is not ours. @throws ProtocolError `unreadable_frame` */
function readWatchFrame(text: string): WatchFrame | undefined {
  const frame = readJson(text);
  if (!known.has(frame.type)) return undefined;
  const parsed = machineServerFrame.safeParse(frame);
  if (!parsed.success) throw unreadable(text);
  const data = parsed.data as WatchFrame;
  return typeof data.id === "string" && data.id !== watchId ? undefined : data;
}
