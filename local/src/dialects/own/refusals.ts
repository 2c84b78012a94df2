/** Whatever goes wrong on the routes of our own: the envelope of the DCS contract, with a code for everything. */
import { Refusal, type RefusalCode } from "../../engine/control-plane";
import { type ApiError, invalid, refused } from "../../http-errors";
import { apiError as dedalusError } from "../dedalus/refusals";
import { WireError } from "../nullspace/errors";
import { machineId } from "../dedalus/render";

/** Those that the DCS contract has no code for. */
const codes: Partial<Record<RefusalCode, number>> = {
  machine_not_found: 404,
  snapshot_not_found: 404,
  snapshot_not_reusable: 409,
  snapshot_failed: 503,
};

export function toApiError(error: unknown): unknown {
  if (error instanceof Refusal) return fromRefusal(error);
  return error instanceof WireError ? fromWireError(error) : error;
}

function fromRefusal(refusal: Refusal): ApiError {
  const { code, message, options } = refusal;
  if (code === "storage_shrink") return invalid([{ location: "body.dedalus.storage_gib", message }]);
  if (code === "invalid_argument") return invalid([{ location: "body", message }]);
  const status = codes[code];
  if (status === undefined) return dedalusError(refusal);
  const { machine_id: id, ...details } = options.details ?? {};
  return refused(status, {
    error_code: code,
    message,
    retryable: options.retryable ?? false,
    ...(options.retryAfterMs === undefined ? {} : { retry_after_ms: options.retryAfterMs }),
    ...(options.details
      ? { details: { ...details, ...(id === undefined ? {} : { machine_id: machineId({ id }) }) } }
      : {}),
  });
}

/** Of the parts that the other dialect reads, and of waits that ended. */
function fromWireError({ status, code, message, options }: WireError): ApiError {
  return refused(
    status,
    {
      error_code: code,
      message,
      retryable: options.retryable ?? false,
      ...(options.retryAfterMs === undefined ? {} : { retry_after_ms: options.retryAfterMs }),
    },
    options.headers ? { headers: options.headers } : {},
  );
}
