/** Whatever goes wrong, as a Nullspace error: the engine's refusals, and what the server refuses for every dialect. */
import { Refusal, type RefusalCode } from "../../engine/control-plane";
import { ApiError } from "../../http-errors";
import { WireError, type WireCode, wireError } from "./errors";
import { machineId } from "./ids";

/** Status and code of each of the engine's refusals; the pairs are ours, the vendor publishes none. */
const refusals: Record<RefusalCode, readonly [status: number, code: WireCode]> = {
  machine_not_found: [404, "machine_not_found"],
  execution_not_found: [404, "not_found"],
  invalid_state: [409, "machine_not_ready"],
  revision_mismatch: [409, "transition_conflict"],
  idempotency_key_reused: [409, "conflict"],
  idempotency_in_flight: [409, "transition_in_progress"],
  sleep_hold_window: [409, "machine_not_ready"],
  insufficient_capacity: [503, "capacity_exceeded"],
  storage_shrink: [400, "invalid_request"],
  resize_failed: [503, "internal_error"],
  bad_cursor: [400, "invalid_request"],
  machine_not_running: [409, "machine_not_ready"],
  transition_failed: [409, "transition_conflict"],
  snapshot_not_found: [404, "snapshot_not_found"],
  snapshot_in_use: [409, "snapshot_in_use"],
  snapshot_not_reusable: [409, "incompatible_snapshot"],
  snapshot_failed: [503, "internal_error"],
  process_not_found: [404, "not_found"],
  process_failed: [502, "exec_failed"],
  stdin_closed: [409, "conflict"],
  not_a_terminal: [409, "conflict"],
  event_not_found: [404, "not_found"],
  webhook_not_found: [404, "not_found"],
  delivery_not_found: [404, "not_found"],
  webhook_url_refused: [400, "invalid_request"],
  file_not_found: [404, "not_found"],
  file_exists: [409, "conflict"],
  file_refused: [400, "file_error"],
  file_failed: [500, "file_error"],
  invalid_argument: [400, "invalid_request"],
  not_supported: [501, "not_implemented"],
};

/** What a status means where the server, or a fault script without a code of this dialect, says no more. */
const codesOfStatus: Partial<Record<number, WireCode>> = {
  401: "unauthorized",
  403: "forbidden",
  404: "not_found",
  409: "transition_conflict",
  429: "rate_limit_exceeded",
  501: "not_implemented",
  502: "exec_failed",
  503: "no_eligible_runtime_host",
  504: "exec_timeout",
};

const codeOf = (status: number): WireCode =>
  codesOfStatus[status] ?? (status < 500 ? "invalid_request" : "internal_error");

/** A code of this dialect, as a fault script may name one; those of the other dialect are in capitals. */
const isOwnCode = (code: string | undefined): code is string =>
  code !== undefined && (/^[a-z][a-z0-9_]*$/.test(code) || code === "QUOTA_EXCEEDED");

/** The key's own words name the other vendor. */
const keyWords: Record<string, string> = {
  AUTH_REQUIRED: "missing API key: send it as Authorization: Bearer KEY",
  AUTH_INVALID: "invalid API key",
};

/** Undefined for an error that nobody foresaw. */
export function toWireError(error: unknown): WireError | undefined {
  if (error instanceof WireError) return error;
  if (error instanceof Refusal) return fromRefusal(error);
  if (error instanceof ApiError) return fromApiError(error);
  return fromFramework(error);
}

function fromRefusal({ code, message, options }: Refusal): WireError {
  const [status, wireCode] = refusals[code];
  const { retryable, retryAfterMs, details } = options;
  return wireError(status, wireCode, message, {
    retryable: retryable ?? false,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(details ? { details: withOwnIds(details) } : {}),
  });
}

const withOwnIds = ({ machine_id: id, ...details }: Record<string, string>): Record<string, string> =>
  id === undefined ? details : { machine_id: machineId(id), ...details };

/** What the server itself, or its fault script, refused in the words of the other dialect. */
function fromApiError({ status, body, headers, message }: ApiError): WireError {
  const { error_code: code, retryable, retry_after_ms: retryAfterMs } = body as Partial<SharedBody>;
  const words = code === undefined ? undefined : keyWords[code];
  const kept = Object.fromEntries(
    Object.entries(headers).filter(([name]) => name === "allow" || name === "www-authenticate"),
  );
  return new WireError(status, isOwnCode(code) ? code : codeOf(status), words ?? message, {
    retryable: retryable ?? false,
    headers: kept,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}

interface SharedBody {
  error_code: string;
  retryable: boolean;
  retry_after_ms: number;
}

/** What the framework found wrong with a request before any route saw it. */
function fromFramework(error: unknown): WireError | undefined {
  const { statusCode, code, message } = error as { statusCode?: number; code?: string; message?: string };
  if (code === "ECONNRESET") return wireError(400, "invalid_request", "the request was not sent to its end");
  if (statusCode === undefined || statusCode >= 500 || code?.startsWith("FST_") !== true) return undefined;
  return wireError(
    statusCode,
    "invalid_request",
    statusCode === 413 ? "the body is too large" : (message ?? "bad request"),
  );
}
