/**
 * `machines.watchStatus`: the status stream that some services have besides the lifecycle stream. It tells what a machine of
 * the other vendor's API tells of itself, so that phases, reasons and revisions come with it.
 */
import type { CallOptions } from "../call";
import { sseDefaults } from "../sse";
import { ConnectionError, NotImplementedError } from "../errors";
import { watchMachine, type WatchOptions } from "../dedalus/watch";
import { readStatusEvent } from "../dedalus/watch-event";
import type { Machine } from "../dedalus/wire";
import { readEventBatches } from "../sse";
import { machinePath } from "./calls";
import type { NullspaceContext } from "./context";

/** @param find Reads the machine in the vendor's own way: throws NotFoundError where there is none. */
export function watchStatus(
  { transport }: Pick<NullspaceContext, "transport">,
  machineId: string,
  find: (options: CallOptions) => Promise<unknown>,
  options: WatchOptions,
): AsyncGenerator<Machine, void> {
  const { silenceMs } = sseDefaults;

  /** The stream begins with the machine as it is: that is this API's read of a status. */
  const get = async ({ signal }: CallOptions): Promise<Machine> => {
    const what = `read the status of machine ${machineId}`;
    const ended = new AbortController();
    const stream = await transport.stream({
      what,
      machineId,
      method: "GET",
      path: machinePath(machineId, "/status/stream"),
      headers: { accept: "text/event-stream" },
      maxRetries: 0,
      options: { signal: signal ? AbortSignal.any([signal, ended.signal]) : ended.signal },
    });
    try {
      for await (const batch of readEventBatches(stream.body, { silenceMs: () => silenceMs })) {
        for (const event of batch) {
          const view = readStatusEvent(transport, machineId, event);
          if (view) return view;
        }
      }
    } finally {
      ended.abort();
    }
    throw new ConnectionError({
      message: `${what}: the stream ended without it`,
      code: "stream_ended",
      machineId,
    });
  };

  const noStream = async (options: CallOptions): Promise<never> => {
    await find(options);
    throw new NotImplementedError({
      message: `watch machine ${machineId}: this service has no status stream; follow the lifecycle stream`,
      code: "no_status_stream",
      machineId,
    });
  };
  return watchMachine({ transport, silenceMs, get, noStream }, machineId, options);
}
