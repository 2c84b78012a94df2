/**
 * What an HTTP request is refused with. Two envelopes, both of the DCS contract: body A (`application/json`, with an
 * `error_code`) for 401, 403, 409, 429 and 503, body B (`application/problem+json`) for everything else.
 */
import { STATUS_CODES } from "node:http";

/** Body A. Details are texts, numbers included. */
export interface ErrorBody {
  error_code: string;
  message: string;
  retryable: boolean;
  retry_after_ms?: number;
  details?: Record<string, string>;
}

/** One violation: where ("body.vcpu", "query.limit", "header.Idempotency-Key"), what, and the value if it is short. */
export interface Violation {
  location: string;
  message: string;
  value?: string | number | boolean | null;
}

/** More than these are counted, not listed. */
const maxViolations = 50;

export class ApiError extends Error {
  override readonly name = "ApiError";
  constructor(
    readonly status: number,
    readonly contentType: "application/json" | "application/problem+json",
    readonly body: { message?: string; detail?: string },
    readonly headers: Record<string, string> = {},
  ) {
    super(body.message ?? body.detail ?? "");
  }
}

/** Body B. */
export function problem(
  status: number,
  detail: string,
  more: { errors?: readonly Violation[]; headers?: Record<string, string> } = {},
): ApiError {
  const errors = more.errors?.slice(0, maxViolations);
  const left = (more.errors?.length ?? 0) - (errors?.length ?? 0);
  return new ApiError(
    status,
    "application/problem+json",
    {
      ...{ type: "about:blank", title: STATUS_CODES[status] ?? "Error", status },
      detail: left > 0 ? `${detail} (${String(left)} more not listed)` : detail,
      ...(errors ? { errors } : {}),
    },
    more.headers,
  );
}

export const invalid = (errors: readonly Violation[]): ApiError =>
  problem(422, "validation failed", { errors });

/** Body A, with the headers by which the vendor's own clients decide whether and when to try again. */
export function refused(
  status: number,
  body: ErrorBody,
  options: { headers?: Record<string, string>; neverBlindly?: boolean } = {},
): ApiError {
  const waitMs = body.retry_after_ms;
  const final = !body.retryable && (status === 409 || status >= 500);
  return new ApiError(status, "application/json", body, {
    ...(waitMs === undefined
      ? {}
      : { "retry-after-ms": String(waitMs), "retry-after": String(Math.ceil(waitMs / 1000)) }),
    ...(final || options.neverBlindly ? { "x-should-retry": "false" } : {}),
    ...options.headers,
  });
}
