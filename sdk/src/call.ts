/** One call as its caller states it, and as the HTTP library sends it. Pure but for a new idempotency key. */
import type { Dispatcher } from "undici";
import { UsageError } from "./errors";
import { makeIdempotencyKey } from "./idempotency-key";

export interface CallOptions {
  /** Gives the call up; it then rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** The whole call with its retries, in milliseconds; default 60000, past it DeadlineError. */
  timeoutMs?: number | undefined;
}

export interface MutationOptions extends CallOptions {
  /** The same for every attempt at the same change; default a new UUIDv7 for each call. */
  idempotencyKey?: string | undefined;
}

export interface Call {
  /** What is tried, for messages: `create a machine`. */
  what: string;
  machineId?: string;
  method: "GET" | "POST" | "PATCH" | "DELETE" | "PUT";
  /** Below the base URL, its segments encoded. */
  path: string;
  query?: Readonly<Record<string, string | number | undefined>>;
  body?: unknown;
  headers?: Readonly<Record<string, string | undefined>>;
  maxRetries?: number;
  options?: MutationOptions | undefined;
}

/**
 * What goes over the wire, the same for every attempt: the idempotency key is made here, before the first one.
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
    "content-type": call.body === undefined ? undefined : "application/json",
    "idempotency-key": call.method === "GET" ? undefined : idempotencyKey(call, nowMs),
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
