/**
 * When a Nullspace call is tried again. Pure. The vendor's rules: any 429 up to three times, and a create whose answer was
 * lost with the same key. Ours: a fork and a snapshot are met as a create is, because they carry a key as well.
 */
import { afterHint, retryDefaults, type Attempt, type Outcome, type RetryPolicy } from "../retry-timing";

export const retryLimits = {
  /** Tries after a 429. */
  afterLimit: 3,
  /** Tries after the first one of a call whose key makes it safe. */
  recovery: 29,
  upload: 5,
  /** Waited after a 429 that does not say how long, in milliseconds. */
  limitDelayMs: 1_000,
} as const;

/** The service is still at the same call, or has to be asked again with the same key. */
const recoverableCodes: readonly (string | undefined)[] = [
  "transition_in_progress",
  "transition_recovery_required",
];
/** Answers of 500 and above that the same request gets again. */
const lastingCodes: readonly (string | undefined)[] = ["not_implemented", "exec_failed", "exec_timeout"];

function mayHelp(outcome: Outcome): boolean {
  if (outcome.kind !== "answered") return outcome.kind !== "final";
  const { status, code, bodyRetryable } = outcome;
  if (bodyRetryable !== undefined) return bodyRetryable;
  if (status === 429 || recoverableCodes.includes(code)) return true;
  return status >= 500 && status !== 501 && !lastingCodes.includes(code);
}

/** After 429, on any call: the service's own time, a little later, or a second. */
function afterLimit(outcome: Outcome, attempt: Attempt, random: number): number | undefined {
  if (outcome.kind !== "answered" || outcome.status !== 429) return undefined;
  if (attempt.limited >= attempt.maxRetries) return undefined;
  const hintMs = outcome.retryAfterMs ?? retryLimits.limitDelayMs;
  return hintMs > retryDefaults.longestHintMs ? undefined : afterHint(hintMs, random);
}

/** The default: 429 only. A connection that broke is the caller's to judge: the call may have been done. */
export const limitRetry: RetryPolicy = {
  mayHelp,
  delay: (outcome, attempt, random) => within(attempt, afterLimit(outcome, attempt, random)),
};

/** For calls whose key makes the same answer come again: 0.5 s, doubled up to 10 s, 30 tries in all. */
export const recoveryRetry: RetryPolicy = {
  mayHelp,
  delay: (outcome, attempt, random) => {
    const limited = afterLimit(outcome, attempt, random);
    if (limited !== undefined) return within(attempt, limited);
    const recoverable =
      outcome.kind === "lost" || (outcome.kind === "answered" && recoverableCodes.includes(outcome.code));
    if (!recoverable || attempt.maxRetries === 0 || attempt.number >= retryLimits.recovery) return undefined;
    return within(attempt, Math.min(10_000, 500 * 2 ** attempt.number));
  },
};

/** For uploads, which a part's number or a key makes safe: 0.25 s, doubled up to 4 s, up to a quarter more, 6 tries. */
export const uploadRetry: RetryPolicy = {
  mayHelp,
  delay: (outcome, attempt, random) => {
    const passing =
      outcome.kind === "lost" ||
      outcome.kind === "unreached" ||
      (outcome.kind === "answered" && (outcome.status === 429 || [502, 503, 504].includes(outcome.status)));
    if (!passing || attempt.maxRetries === 0 || attempt.number >= retryLimits.upload) return undefined;
    if (outcome.kind === "answered" && outcome.bodyRetryable === false) return undefined;
    const hintMs = outcome.kind === "answered" ? outcome.retryAfterMs : undefined;
    if (hintMs !== undefined && hintMs > retryDefaults.longestHintMs) return undefined;
    const base = hintMs ?? Math.min(4_000, 250 * 2 ** attempt.number);
    return within(attempt, Math.round(base * (1 + 0.25 * random)));
  },
};

const within = (attempt: Attempt, delayMs: number | undefined): number | undefined =>
  delayMs !== undefined && delayMs < attempt.remainingMs ? delayMs : undefined;
