/** The engine's refusals in the envelopes of the DCS contract. */
import { Refusal, type RefusalCode } from "../../engine/control-plane";
import { type ApiError, invalid, problem, refused } from "../../http-errors";

/** 409, 429 and 503 by the contract's own codes; "INSUFFICIENT_CAPACITY" is ours, the contract has none for it. */
const codes = {
  invalid_state: [409, "INVALID_STATE"],
  revision_mismatch: [409, "REVISION_MISMATCH"],
  idempotency_key_reused: [409, "IDEMPOTENCY_KEY_REUSED"],
  idempotency_in_flight: [429, "RATE_LIMITED"],
  sleep_hold_window: [409, "SLEEP_HOLD_WINDOW_ACTIVE"],
  insufficient_capacity: [409, "INSUFFICIENT_CAPACITY"],
  resize_failed: [503, "DEPENDENCY_UNAVAILABLE"],
} as const satisfies Partial<Record<RefusalCode, [number, string]>>;

export function apiError(refusal: Refusal): ApiError {
  const { code, message, options } = refusal;
  switch (code) {
    case "machine_not_found":
    case "execution_not_found":
      // The contract names no code for 404: its `default` is a problem.
      return problem(404, message);
    case "storage_shrink":
      return invalid([{ location: "body.storage_gib", message }]);
    case "bad_cursor":
      return invalid([{ location: "query.cursor", message }]);
    case "invalid_state":
    case "revision_mismatch":
    case "idempotency_key_reused":
    case "idempotency_in_flight":
    case "sleep_hold_window":
    case "insufficient_capacity":
    case "resize_failed": {
      const [status, errorCode] = codes[code];
      return refused(
        status,
        {
          error_code: errorCode,
          message,
          retryable: options.retryable ?? false,
          ...(options.retryAfterMs === undefined ? {} : { retry_after_ms: options.retryAfterMs }),
          ...(options.details ? { details: options.details } : {}),
        },
        // It is retryable after a new read; sent again as it is, it can only fail again.
        { neverBlindly: code === "revision_mismatch" },
      );
    }
    default:
      // Of calls that only the other dialect makes.
      return problem(500, message);
  }
}

export const toApiError = (error: unknown): unknown => (error instanceof Refusal ? apiError(error) : error);
