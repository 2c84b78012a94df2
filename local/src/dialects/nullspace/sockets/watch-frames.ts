/** Watched folders over a machine's socket: a watch ends with its time, its socket or its machine. */
import type { FileWatchFrame } from "@pulumi-machines/sdk/nullspace/frames";
import type { FileChange } from "../../../engine/files/api";
import type { Violation } from "../../../http-errors";
import { timeoutViolations } from "../exec-command";
import { nulViolations } from "../requests";
import { living } from "../transitions";
import type { MachineSocket } from "./machine-socket";
import type { Frame } from "./parse-frame";

/** What the schema cannot say. */
export const watchFrameViolations = (frame: Frame): Violation[] => [
  ...nulViolations("frame.path", frame["path"]),
  ...nulViolations("frame.user", frame["user"]),
  ...timeoutViolations(frame["timeout_secs"], "frame.timeout_secs"),
];

export class WatchFrames {
  constructor(private readonly socket: MachineSocket) {}

  receive(frame: FileWatchFrame): Promise<void> {
    return this.socket.streams.open(frame.id, (done) => this.begin(frame, done));
  }

  private async begin(frame: FileWatchFrame, done: () => void): Promise<void> {
    const { machineId, controlPlane, connection, gone } = this.socket;
    await living(controlPlane, machineId);
    const over = new AbortController();
    const end = (): void => {
      over.abort();
    };
    if (gone.aborted) end();
    gone.addEventListener("abort", end, { once: true });
    const letGo = (): void => {
      gone.removeEventListener("abort", end);
      end();
    };
    try {
      const changes = await controlPlane.files.watch(machineId, frame.path, {
        signal: over.signal,
        recursive: frame.recursive ?? false,
        ...(typeof frame.user === "string" ? { user: frame.user } : {}),
      });
      connection.out.send({ type: "file_watch_started", id: frame.id });
      const timer = frame.timeout_secs ? setTimeout(end, frame.timeout_secs * 1000).unref() : undefined;
      void this.pipe(changes, frame.id, over.signal).then(() => {
        clearTimeout(timer);
        letGo();
        done();
      });
    } catch (error) {
      letGo();
      throw error;
    }
  }

  /** Quiet at the end of its time, as its client counts it, too. Never rejects. */
  private async pipe(changes: AsyncIterable<FileChange>, id: string, over: AbortSignal): Promise<void> {
    const { connection, closing } = this.socket;
    try {
      for await (const { event, name, path } of changes) {
        await connection.out.room();
        if (over.aborted) return;
        connection.out.send({ type: "file_event", id, event, name, path });
      }
      if (over.aborted || closing.aborted) return;
      const message = "the watch ended: its folder is gone, or the machine does not run any more";
      connection.tell({ message, code: "machine_not_ready" }, id);
    } catch (error) {
      if (!over.aborted) connection.fail(error, id);
    }
  }
}
