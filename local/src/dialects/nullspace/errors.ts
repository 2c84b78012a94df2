/**
 * What a Nullspace request is refused with: one flat envelope for every error. `error_detail` is sent for uploads in parts
 * only: the vendor's client takes an error with one that it does not know for an invalid answer.
 */
import type { Violation } from "../../http-errors";

/** The codes that this control plane answers; all but `invalid_fields` are in the vendor's own clients. */
export type WireCode =
  | "capacity_exceeded"
  | "conflict"
  | "exec_failed"
  | "exec_timeout"
  | "file_error"
  | "file_upload_error"
  | "forbidden"
  | "incompatible_snapshot"
  | "internal_error"
  | "invalid_fields"
  | "invalid_request"
  | "machine_not_found"
  | "machine_not_ready"
  | "no_eligible_runtime_host"
  | "not_found"
  | "not_implemented"
  | "rate_limit_exceeded"
  | "snapshot_in_use"
  | "snapshot_not_found"
  | "template_not_found"
  | "transition_conflict"
  | "transition_in_progress"
  | "unauthorized"
  | "warm_pool_unavailable";

/** Why an upload in parts was refused, in the vendor's words. */
export type UploadFailureReason =
  | "directory_extract_invalid_path"
  | "directory_extract_invalid_symlink"
  | "directory_extract_unsupported_entry"
  | "insufficient_staging_space"
  | "invalid_part_checksum"
  | "missing_parts"
  | "part_out_of_range"
  | "part_size_mismatch"
  | "size_limit_exceeded"
  | "target_conflict"
  | "upload_aborted"
  | "upload_already_completed"
  | "upload_expired"
  | "whole_checksum_mismatch";

export interface UploadFailure {
  reason: UploadFailureReason;
  upload_id?: string;
  path?: string;
  part_number?: number;
  details?: Record<string, unknown>;
}

export interface WireErrorOptions {
  /** Default false. */
  retryable?: boolean;
  retryAfterMs?: number;
  details?: Record<string, unknown>;
  upload?: UploadFailure;
  headers?: Record<string, string>;
  cause?: unknown;
}

/** A code that a fault script names goes out as it is: hence a text. */
export class WireError extends Error {
  override readonly name = "WireError";
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly options: WireErrorOptions = {},
  ) {
    super(message, { cause: options.cause });
  }
}

export const wireError = (
  status: number,
  code: WireCode,
  message: string,
  options?: WireErrorOptions,
): WireError => new WireError(status, code, message, options);

/** More than these are counted, not listed; the message itself names the first few. */
const maxViolations = 50;
const maxNamed = 8;

/** 400 with everything that is wrong with a request. Values are not repeated: they may be secrets. */
export function invalid(violations: readonly Violation[], code: WireCode = "invalid_request"): WireError {
  const listed = violations.slice(0, maxViolations).map(({ location, message }) => ({ location, message }));
  const named = listed.slice(0, maxNamed).map(({ location, message }) => `${location}: ${message}`);
  const left = violations.length - named.length;
  return wireError(
    400,
    code,
    `the request is not valid: ${named.join("; ")}${left > 0 ? ` (and ${String(left)} more)` : ""}`,
    { details: { errors: listed } },
  );
}

/** 501: something of the vendor's that cannot be had here. */
export const notImplemented = (what: string): WireError =>
  wireError(501, "not_implemented", `${what} not implemented by the embedded control plane`);

/** The body of an error's answer. */
export const envelope = (error: WireError, requestId: string) => ({
  error: error.message,
  code: error.code,
  request_id: requestId,
  retryable: error.options.retryable ?? false,
  ...(error.options.details ? { details: error.options.details } : {}),
  ...(error.options.upload ? { error_detail: errorDetail(error, error.options.upload, requestId) } : {}),
});

/** Members that the vendor's client does not know break it. */
const errorDetail = (error: WireError, failure: UploadFailure, requestId: string) => ({
  message: error.message,
  retryable: error.options.retryable ?? false,
  request_id: requestId,
  ...failure,
});

/** Seconds with a fraction, as the vendor's clients read it; milliseconds beside, for those that know them. */
export const retryHeaders = (ms: number | undefined): Record<string, string> =>
  ms === undefined ? {} : { "retry-after": String(ms / 1000), "retry-after-ms": String(ms) };
