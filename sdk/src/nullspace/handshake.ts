/** The first answer on a new socket, which has to come within a limit. */
import { ConnectionError } from "../errors";
import type { Socket } from "../socket";

export const handshakeMs = 15_000;

export interface Handshake<F> {
  /** What is tried, for messages. */
  what: string;
  machineId: string | undefined;
  /** The next frames. */
  read: () => Promise<F[]>;
  isAnswer: (frame: F) => boolean;
}

/** Waits for the answer; what came with it is handed back. @throws what `read` throws · ConnectionError `answer_timeout` */
export async function handshake<F>(
  socket: Socket,
  { what, machineId, read, isAnswer }: Handshake<F>,
): Promise<F[]> {
  const message = `${what}: the service did not answer within ${String(handshakeMs)} ms`;
  const timer = setTimeout(
    () => socket.fail(new ConnectionError({ message, code: "answer_timeout", machineId, retryable: true })),
    handshakeMs,
  );
  try {
    for (;;) {
      const frames = await read();
      const at = frames.findIndex(isAnswer);
      if (at >= 0) return frames.slice(at);
    }
  } finally {
    clearTimeout(timer);
  }
}
