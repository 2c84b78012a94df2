/** The next frames of a socket, as far as they can be read. */
import type { FailedCall } from "../connection-failure";
import type { Socket } from "../socket";
import { closedHere } from "../socket-failure";

/**
 * What came before a frame at which `parse` throws is still handed on; the socket then says the error.
 * @param parse undefined: a frame that does not concern the reader
 */
export async function readFrames<F>(
  socket: Socket,
  call: Pick<FailedCall, "trying" | "machineId">,
  parse: (text: string) => F | undefined,
): Promise<F[]> {
  const texts = await socket.read();
  if (texts === undefined) throw closedHere(call);
  const frames: F[] = [];
  for (const text of texts) {
    try {
      const frame = parse(text);
      if (frame !== undefined) frames.push(frame);
    } catch (error) {
      socket.fail(error as Error);
      break;
    }
  }
  return frames;
}
