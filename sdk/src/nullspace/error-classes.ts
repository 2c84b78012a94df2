/** Which class an error code of Nullspace becomes: by the code, never by the status, but for 429. Pure. */
import {
  AnswerError,
  AuthError,
  BuildError,
  ConflictError,
  FileUploadError,
  NotFoundError,
  NotImplementedError,
  PermissionError,
  QuotaExceededError,
  RateLimitError,
  type ErrorFacts,
  type MachinesError,
} from "../errors";

type ErrorClass = new (facts: ErrorFacts) => MachinesError;

const rules: readonly (readonly [RegExp, ErrorClass])[] = [
  [/^(unauthorized|unauthenticated|missing_api_key)$/, AuthError],
  [/^edge_token_(missing|expired|invalid|scope_mismatch)$/, AuthError],
  [/^preview_grant_(invalid|revoked)$/, AuthError],
  [/^preview_proxy_token_(missing|expired|invalid|revoked|scope_mismatch)$/, AuthError],
  [/^forbidden$|(^|_)permission_denied$/, PermissionError],
  [/^capacity_exceeded$|quota/, QuotaExceededError],
  [
    /^(conflict|machine_not_ready|snapshot_in_use|rebuild_required|incompatible_snapshot|volume_busy)$/,
    ConflictError,
  ],
  [/_conflict$/, ConflictError],
  [/(^|_)not_found$/, NotFoundError],
  [/^file_upload_error$/, FileUploadError],
  [/^build_error$/, BuildError],
  [/^rate_limit_exceeded$/, RateLimitError],
  [/^not_implemented$/, NotImplementedError],
];

/** The code of an answer that names none. */
export const unknownCode = "unknown";

/** @param code lower case */
export function errorClassOf(code: string, status: number): ErrorClass {
  if (status === 429 && code === unknownCode) return RateLimitError;
  // A 404 of a proxy, or of another service at a wrong URL, must not read as "this machine is gone".
  return rules.find(([pattern]) => pattern.test(code))?.[1] ?? AnswerError;
}
