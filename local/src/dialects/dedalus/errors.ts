/** Refusals in the DCS envelopes: body A with the codes that the contract lists, else a problem. */
import type { FastifyReply } from "fastify";
import type { Refusal, RefusalCode } from "../../engine/control-plane";
import type { RequestRule } from "../../faults";
import { Problem, sendProblem } from "../../http/problem";

interface ErrorBody {
  error_code: string;
  message: string;
  retryable: boolean;
  retry_after_ms?: number;
  details?: Record<string, string>;
}

/** Retrying with what was sent cannot help, whatever the body says: a stale revision stays stale. */
const neverResend: readonly string[] = ["REVISION_MISMATCH"];

/**
 * Official clients read only headers: the time to wait is said there too, and whether to send the same again.
 */
function send(reply: FastifyReply, status: number, body: ErrorBody): FastifyReply {
  if (body.retry_after_ms !== undefined) {
    reply.header("retry-after-ms", String(body.retry_after_ms));
    reply.header("retry-after", String(Math.ceil(body.retry_after_ms / 1000)));
  }
  const resend = body.retryable && !neverResend.includes(body.error_code);
  return reply
    .code(status)
    .header("x-should-retry", String(resend))
    .type("application/json")
    .send(JSON.stringify(body));
}

const authErrors = {
  AUTH_REQUIRED: [401, "missing Dedalus API key"],
  AUTH_INVALID: [401, "invalid Dedalus API key"],
  AUTH_ORG_MISMATCH: [403, "org scope does not match API key ownership"],
} as const;

export function sendAuthError(reply: FastifyReply, code: keyof typeof authErrors): FastifyReply {
  const [status, message] = authErrors[code];
  return send(reply, status, { error_code: code, message, retryable: false });
}

export const sendScriptedRefusal = (
  reply: FastifyReply,
  refuse: NonNullable<RequestRule["refuse"]>,
): FastifyReply =>
  send(reply, refuse.status, {
    error_code: refuse.errorCode,
    message: refuse.message,
    retryable: refuse.retryable,
    ...(refuse.retryAfterMs === undefined ? {} : { retry_after_ms: refuse.retryAfterMs }),
  });

/** Status and code of each refusal; those without a code of their own in the contract are problems. */
const envelopes: Record<
  RefusalCode,
  { status: number; code: string } | { status: number; location: string }
> = {
  machine_not_found: { status: 404, location: "path.machine_id" },
  execution_not_found: { status: 404, location: "path.execution_id" },
  storage_shrink: { status: 422, location: "body.storage_gib" },
  bad_cursor: { status: 422, location: "query.cursor" },
  invalid_state: { status: 409, code: "INVALID_STATE" },
  revision_mismatch: { status: 409, code: "REVISION_MISMATCH" },
  idempotency_key_reused: { status: 409, code: "IDEMPOTENCY_KEY_REUSED" },
  idempotency_in_flight: { status: 429, code: "RATE_LIMITED" },
  sleep_hold_window: { status: 409, code: "SLEEP_HOLD_WINDOW_ACTIVE" },
  insufficient_capacity: { status: 409, code: "INSUFFICIENT_CAPACITY" },
  resize_failed: { status: 503, code: "DEPENDENCY_UNAVAILABLE" },
};

export function sendRefusal(reply: FastifyReply, refusal: Refusal): FastifyReply {
  const envelope = envelopes[refusal.code];
  if ("location" in envelope) {
    const { location } = envelope;
    return sendProblem(
      reply,
      new Problem(envelope.status, refusal.message, [{ message: refusal.message, location }]),
    );
  }
  const { retryable = false, retryAfterMs, details } = refusal.options;
  return send(reply, envelope.status, {
    error_code: envelope.code,
    message: refusal.message,
    retryable,
    ...(retryAfterMs === undefined ? {} : { retry_after_ms: retryAfterMs }),
    ...(details ? { details } : {}),
  });
}
