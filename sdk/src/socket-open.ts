/** Opens a WebSocket: the key on the upgrade, a limit for each try, and the same few tries as the vendor's own client. */
import type { IncomingMessage } from "node:http";
import WebSocket from "ws";
import { rawBodyLimit } from "./answer-failure";
import type { Deps } from "./deps";
import { Socket, socketDefaults, type SocketHost, type SocketLimits } from "./socket";
import {
  failedOpening,
  openingTimedOut,
  refusedUpgrade,
  withoutSecrets,
  type OpenFailure,
} from "./socket-failure";
import { retryDefaults } from "./retry-timing";

export interface SocketRequest extends Omit<SocketHost, "limits"> {
  /** `ws:` or `wss:`. */
  url: URL;
  /** Sent with the upgrade: authorization. */
  headers: Readonly<Record<string, string>>;
  deps: Deps;
  /** Default: `socketDefaults`. */
  limits?: Partial<SocketLimits> | undefined;
}

/**
 * Tries three times where that may help; a refusal (400 to 499, 501) is final at once.
 * @throws the service's refusal · ConnectionError · ProtocolError `no_web_socket`, `redirect_refused` · the signal's reason
 */
export async function openSocket(request: SocketRequest): Promise<Socket> {
  const { deps, signal } = request;
  const limits = { ...socketDefaults, ...request.limits };
  for (let failures = 0; ; failures++) {
    signal?.throwIfAborted();
    const opened = await tryOnce(request, limits);
    if (opened instanceof Socket) return opened;
    signal?.throwIfAborted();
    const error = withoutSecrets(opened.error, request.redact);
    if (!opened.passing || failures >= limits.maxRetries) throw error;
    const delayMs = openingDelay(failures, error.retryAfterMs, deps.random());
    const count = `attempt ${String(failures + 1)} of ${String(limits.maxRetries + 1)}`;
    deps.log(`${error.message} [${error.code}; ${count}, again in ${String(delayMs)} ms]`);
    await deps.sleep(delayMs, signal);
  }
}

/** 0.25 s, doubled each time up to 2 s, and up to a quarter more; never before the service's own time. */
export function openingDelay(failures: number, hintMs: number | undefined, random: number): number {
  const hint = hintMs !== undefined && hintMs <= retryDefaults.longestHintMs ? hintMs : 0;
  return Math.round(Math.max(Math.min(2_000, 250 * 2 ** failures), hint) * (1 + 0.25 * random));
}

function tryOnce(request: SocketRequest, limits: SocketLimits): Promise<Socket | OpenFailure> {
  const { call, manners, deps, signal } = request;
  return new Promise((resolve) => {
    const ws = new WebSocket(request.url, {
      headers: { "user-agent": "pulumi-machines-sdk", ...request.headers },
      maxPayload: limits.maxFrameBytes,
      // Output is sent as fast as it is made; compressing it would cost more time than it saves on most networks.
      perMessageDeflate: false,
      followRedirects: false,
    });
    const settle = (result: Socket | OpenFailure): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", giveUp);
      ws.off("open", open);
      if (!(result instanceof Socket)) ws.terminate();
      resolve(result);
    };
    const fail = (error: unknown): void => settle(failedOpening(error, call, manners));
    const giveUp = (): void => fail(signal?.reason);
    const open = (): void => {
      ws.off("error", fail);
      settle(new Socket(ws, { ...request, limits }));
    };
    const timer = setTimeout(() => settle(openingTimedOut(call, limits.openTimeoutMs)), limits.openTimeoutMs);
    signal?.addEventListener("abort", giveUp, { once: true });
    ws.on("error", fail); // Stays for a failed try: giving it up raises one more error.
    ws.on("open", open);
    ws.on("unexpected-response", (_request, response: IncomingMessage) => {
      void readSome(response).then((text) => {
        const { statusCode: status = 0, headers } = response;
        settle(refusedUpgrade({ ...call, status, headers, text: request.redact(text) }, manners, deps.now()));
      });
    });
  });
}

/** The beginning of a body, as far as it comes. */
async function readSome(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes >= rawBodyLimit) break;
    }
  } catch {
    // A body that is cut off says less, but its status stands.
  }
  return Buffer.concat(chunks).toString().slice(0, rawBodyLimit);
}
