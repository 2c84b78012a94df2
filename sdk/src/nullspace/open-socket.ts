/** Opens a socket of the Nullspace API: its URL, the key, and how this service words its refusals. */
import type { Socket, SocketLimits } from "../socket";
import { openSocket } from "../socket-open";
import type { NullspaceContext } from "./context";
import { nullspaceManners } from "./manners";

export interface SocketContext extends Pick<
  NullspaceContext,
  "baseUrl" | "authHeaders" | "redact" | "deps" | "closing"
> {
  /** Default: `socketDefaults`. */
  readonly socketLimits?: Partial<SocketLimits> | undefined;
}

export interface SocketCall {
  /** What is tried, for messages: `follow the lifecycle events`. */
  what: string;
  machineId?: string | undefined;
  /** Below the base URL, its segments encoded, with its query. */
  path: string;
  signal?: AbortSignal | undefined;
  /** Tries after the first one; default 2. */
  maxRetries?: number | undefined;
}

/** @throws as `openSocket` of the generic sockets */
export async function openApiSocket(context: SocketContext, call: SocketCall): Promise<Socket> {
  const { baseUrl, redact, deps, closing } = context;
  const { origin, pathname } = baseUrl;
  const prefix = pathname.replace(/\/+$/, "");
  const { machineId, maxRetries } = call;
  const signals = [call.signal, closing].filter((signal) => signal !== undefined);
  return openSocket({
    url: new URL(origin.replace(/^http/, "ws") + prefix + call.path),
    headers: context.authHeaders(),
    call: { trying: `${call.what} at ${origin}${prefix}`, machineId },
    manners: nullspaceManners,
    redact,
    deps,
    signal: signals.length > 1 ? AbortSignal.any(signals) : signals[0],
    limits: { ...context.socketLimits, ...(maxRetries === undefined ? {} : { maxRetries }) },
  });
}
