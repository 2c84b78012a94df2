/** One call as its caller states it, and as the HTTP library sends it. Pure but for a new idempotency key. */
import type { Readable } from "node:stream";
import type { Dispatcher } from "undici";
import { UsageError } from "./errors";
import { makeIdempotencyKey } from "./idempotency-key";
import type { RetryPolicy } from "./retry-timing";

export interface CallOptions {
  /** Gives the call up; it then rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** The whole call with its retries, in milliseconds; past it DeadlineError. Default: the client's, see its settings. */
  timeoutMs?: number | undefined;
}

export interface MutationOptions extends CallOptions {
  /** The same for every attempt at the same change; default a new one for each call. */
  idempotencyKey?: string | undefined;
}

/** A body that is no JSON. */
export interface Content {
  type: string;
  /** Undefined: sent in chunks until it ends. */
  sizeBytes?: number | undefined;
  /** Called for each attempt; a stream must be a new one. */
  open(): Uint8Array | Readable;
}

export interface Call {
  /** What is tried, for messages: `create a machine`. */
  what: string;
  machineId?: string;
  method: "GET" | "POST" | "PATCH" | "DELETE" | "PUT";
  /** Below the base URL, its segments encoded. */
  path: string;
  query?: Readonly<Record<string, string | number | undefined>>;
  /** Sent as JSON. */
  body?: unknown;
  /** Instead of `body`. */
  content?: Content;
  headers?: Readonly<Record<string, string | undefined>>;
  /** False sends no idempotency key with a change; reads never have one. */
  keyed?: boolean;
  /** Headers of the answer that its reader wants, in lower case. */
  keepHeaders?: readonly string[];
  maxRetries?: number;
  /** Default the transport's. */
  retry?: RetryPolicy;
  /** Silence within one attempt, after which it counts as lost, in milliseconds; 0 is no limit. Default the transport's. */
  attemptTimeoutMs?: number;
  options?: MutationOptions | undefined;
}

/**
 * What goes over the wire, the same for every attempt (but `content`, which is opened for each): the idempotency key is
 * made here, before the first one.
 * @throws UsageError `invalid_argument` for a key that a header cannot carry
 */
export function wireRequest(
  call: Call,
  baseUrl: URL,
  headers: Readonly<Record<string, string>>,
  nowMs: number,
): Dispatcher.RequestOptions {
  const search = queryText(call.query ?? {});
  const all: Record<string, string | undefined> = {
    accept: "application/json",
    "user-agent": "pulumi-machines-sdk",
    ...headers,
    "content-type": call.content?.type ?? (call.body === undefined ? undefined : "application/json"),
    "content-length": call.content?.sizeBytes === undefined ? undefined : String(call.content.sizeBytes),
    "idempotency-key":
      call.method === "GET" || call.keyed === false ? undefined : idempotencyKey(call, nowMs),
    ...call.headers,
  };
  return {
    origin: baseUrl.origin,
    path: baseUrl.pathname.replace(/\/+$/, "") + call.path + (search ? `?${search}` : ""),
    method: call.method,
    headers: Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)),
    body: call.body === undefined ? null : JSON.stringify(call.body),
  };
}

function idempotencyKey(call: Call, nowMs: number): string {
  const key = call.options?.idempotencyKey ?? makeIdempotencyKey(nowMs);
  if (/^[\x21-\x7e]{1,255}$/.test(key)) return key;
  throw new UsageError({
    message: `${call.what}: the idempotency key must be 1 to 255 printable ASCII characters without spaces`,
    code: "invalid_argument",
  });
}

function queryText(query: NonNullable<Call["query"]>): string {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) if (value !== undefined) search.set(key, String(value));
  return search.toString();
}
