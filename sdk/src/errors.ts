/** The error classes of the clients. Branch on `code`, never on the message. */

export interface ErrorFacts {
  message: string;
  code: string;
  machineId?: string | undefined;
  status?: number | undefined;
  retryable?: boolean | undefined;
  retryAfterMs?: number | undefined;
  details?: Readonly<Record<string, string>> | undefined;
  requestId?: string | undefined;
  suggestedAction?: string | undefined;
  rawBody?: string | undefined;
  cause?: unknown;
}

/** What every failure of a client carries; see the subclasses for what can go wrong. */
export class MachinesError extends Error {
  override readonly name: string = "MachinesError";
  /** Stable: the service's own code (`INVALID_STATE`) or one of ours in lower case (`connection_refused`). */
  readonly code: string;
  /** True when the same request may succeed later; for `REVISION_MISMATCH` only after reading the machine again. */
  readonly retryable: boolean;
  declare readonly machineId?: string;
  /** HTTP status, where the service answered. */
  declare readonly status?: number;
  /** How long the service asks to wait before another try, in milliseconds. */
  declare readonly retryAfterMs?: number;
  declare readonly details?: Readonly<Record<string, string>>;
  /** The service's name for the request, for its support. */
  declare readonly requestId?: string;
  /** What the service itself advises to do next. */
  declare readonly suggestedAction?: string;
  /** What came back when it was in no known format, at most 64 KiB. */
  declare readonly rawBody?: string;

  constructor({ message, code, retryable, cause, ...facts }: ErrorFacts) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.retryable = retryable ?? false;
    for (const [key, value] of Object.entries(facts)) {
      if (value !== undefined) Object.defineProperty(this, key, { value, enumerable: true });
    }
  }
}

/** The service answered with an error; `code` is the service's own, or `http_<status>`. */
export class AnswerError extends MachinesError {
  override readonly name = "AnswerError";
}

/** The service knows no such thing (404). */
export class NotFoundError extends MachinesError {
  override readonly name = "NotFoundError";
}

/** Nullspace: the key, or another token, is missing, wrong or expired. */
export class AuthError extends MachinesError {
  override readonly name = "AuthError";
}

/** Nullspace: the key is good, but may not do this. */
export class PermissionError extends MachinesError {
  override readonly name = "PermissionError";
}

/** Nullspace: a limit of the account or of the service's capacity. */
export class QuotaExceededError extends MachinesError {
  override readonly name = "QuotaExceededError";
}

/** Nullspace: the machine or snapshot is not in a state for this (`machine_not_ready`, `snapshot_in_use`, ...). */
export class ConflictError extends MachinesError {
  override readonly name = "ConflictError";
}

/** Nullspace: too many requests; `retryAfterMs` tells when to come back. */
export class RateLimitError extends MachinesError {
  override readonly name = "RateLimitError";
}

/** Nullspace: this service does not have the function (501). */
export class NotImplementedError extends MachinesError {
  override readonly name = "NotImplementedError";
}

/** Nullspace: an upload was refused; `details.reason` says why (`target_conflict`, `invalid_part_checksum`, ...). */
export class FileUploadError extends MachinesError {
  override readonly name = "FileUploadError";
}

/** Nullspace: a template could not be built. */
export class BuildError extends MachinesError {
  override readonly name = "BuildError";
}

/** A webhook delivery is not to be trusted. Codes: `missing_signature`, `wrong_signature`, `too_old`, `unreadable_body`. */
export class WebhookError extends MachinesError {
  override readonly name = "WebhookError";
}

/**
 * No whole answer came. Codes: `connection_refused`, `host_not_found`, `connect_timeout`, `unreachable`,
 * `connection_lost`, `answer_timeout`, `stream_silent`, `tls_untrusted`, `client_closed`, `connection_failed`.
 */
export class ConnectionError extends MachinesError {
  override readonly name = "ConnectionError";
}

/** The time given to the call is over (`deadline_exceeded`); `cause` is the last failure before, if any. */
export class DeadlineError extends MachinesError {
  override readonly name = "DeadlineError";
}

/**
 * The answer is not what the contract says. Codes: `redirect_refused`, `answer_too_large`, `unreadable_answer`,
 * `unexpected_answer`, `event_too_large`, `unreadable_event`, `no_event_stream`, `repeated_cursor`, `not_http`.
 */
export class ProtocolError extends MachinesError {
  override readonly name = "ProtocolError";
}

/** The caller gave something that cannot work. Codes: `missing_api_key`, `invalid_api_key`, `invalid_base_url`, `invalid_argument`. */
export class UsageError extends MachinesError {
  override readonly name = "UsageError";
}
