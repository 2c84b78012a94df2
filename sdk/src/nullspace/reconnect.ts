/** A stream over sockets that break: opens them anew for as long as it is read. */
import { ConnectionError, MachinesError } from "../errors";
import type { Socket } from "../socket";
import { openApiSocket, type SocketCall, type SocketContext } from "./open-socket";

export const reconnectDefaults = {
  /** Before a new connection; doubled up to the longest, less up to a quarter. Begins anew after each handshake. */
  firstDelayMs: 250,
  longestDelayMs: 5_000,
  /** A service that asks for a longer wait is asked again after this. */
  longestHintMs: 60_000,
} as const;

export interface Connection {
  socket: Socket;
  /** True until a connection has got as far as `ready`. */
  isFirst: boolean;
  /** The service has answered: the next failure is a new one. */
  ready: () => void;
}

export interface Reconnecting<T, R> {
  context: SocketContext;
  call: SocketCall & { signal: AbortSignal };
  /** Reads one connection to the stream's end, or throws. */
  follow: (connection: Connection) => AsyncGenerator<T, R>;
  /** After so many milliseconds without a connection, its error is thrown. Default never. */
  giveUpMs?: number | undefined;
}

/**
 * Ends as `follow` does.
 * @throws what refuses the first connection after its tries, or a later one for good · what `follow` throws, but for errors
 * that are retryable · the signal's reason
 */
export async function* reconnecting<T, R>({
  context,
  call,
  follow,
  giveUpMs = Infinity,
}: Reconnecting<T, R>): AsyncGenerator<T, R> {
  const { deps } = context;
  const { signal } = call;
  let wasReady = false;
  let lostAt: number | undefined;
  for (let failures = 0; ;) {
    let socket: Socket | undefined;
    let failed: MachinesError;
    try {
      socket = await openApiSocket(context, { ...call, maxRetries: wasReady ? 0 : undefined });
      const ready = (): void => {
        wasReady = true;
        failures = 0;
        lostAt = undefined;
      };
      return yield* follow({ socket, isFirst: !wasReady, ready });
    } catch (thrown) {
      signal.throwIfAborted();
      if (!(thrown instanceof MachinesError) || !thrown.retryable) throw thrown;
      const isRefused = socket === undefined || !(thrown instanceof ConnectionError);
      if (isRefused && !wasReady) throw thrown;
      lostAt ??= deps.now();
      if (deps.now() - lostAt >= giveUpMs) throw thrown;
      failed = thrown;
    } finally {
      void socket?.close();
    }
    const delayMs = reconnectDelay(failures++, failed.retryAfterMs, deps.random());
    deps.log(`${failed.message} [${failed.code}; connecting again in ${String(delayMs)} ms]`);
    await deps.sleep(delayMs, signal);
  }
}

function reconnectDelay(failures: number, hintMs: number | undefined, random: number): number {
  const { firstDelayMs, longestDelayMs, longestHintMs } = reconnectDefaults;
  const full = Math.min(firstDelayMs * 2 ** failures, longestDelayMs);
  return Math.max(Math.round(full * (0.75 + 0.25 * random)), Math.min(hintMs ?? 0, longestHintMs));
}
