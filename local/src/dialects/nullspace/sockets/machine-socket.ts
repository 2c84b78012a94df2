/** What the frames of a machine's socket work with. */
import type { ControlPlane } from "../../../engine/control-plane";
import { wireError } from "../errors";
import type { Connection } from "./connection";
import type { InputQueue } from "./input-queue";

export interface MachineSocket {
  readonly machineId: string;
  readonly controlPlane: ControlPlane;
  readonly connection: Connection;
  readonly input: InputQueue;
  readonly streams: Streams;
  /** Aborts when the socket is gone: nobody reads any more. */
  readonly gone: AbortSignal;
  /** Aborts when the control plane ends. */
  readonly closing: AbortSignal;
}

/** Commands, terminals and watches that one socket may carry at a time. */
export const maxStreams = 256;

/** The ids in use on a socket, each by one command, terminal or watch. */
export class Streams {
  private readonly ids = new Set<string>();

  /**
   * The id is free again when `begin` rejects, or when what it began calls `done`.
   * @throws WireError 409, 429; what `begin` throws
   */
  async open(id: string, begin: (done: () => void) => Promise<void>): Promise<void> {
    if (this.ids.has(id)) {
      throw wireError(
        409,
        "conflict",
        `frame.id: ${JSON.stringify(id)} is in use on this socket; take another`,
      );
    }
    if (this.ids.size >= maxStreams) {
      const words = `this socket carries ${String(maxStreams)} commands, terminals and watches: open another one`;
      throw wireError(429, "rate_limit_exceeded", words);
    }
    this.ids.add(id);
    const done = (): void => {
      this.ids.delete(id);
    };
    try {
      await begin(done);
    } catch (error) {
      done();
      throw error;
    }
  }
}
