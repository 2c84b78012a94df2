/** Whether to try a request again, and when. Pure: no timer, no clock, no randomness of its own. */

export const retryDefaults = {
  /** Tries after the first one. */
  maxRetries: 2,
  firstDelayMs: 500,
  longestDelayMs: 8_000,
  /** A service that asks for a longer wait gets no retry: the caller is told, with `retryAfterMs`. */
  longestHintMs: 60_000,
} as const;

/** How one attempt ended. */
export type Outcome =
  /** Nothing reached the server. */
  | { kind: "unreached" }
  /** The request may have arrived, but no whole answer came back. */
  | { kind: "lost" }
  /** Trying again cannot help. */
  | { kind: "final" }
  | {
      kind: "answered";
      status: number;
      code?: string | undefined;
      /** The header `x-should-retry`. */
      shouldRetry?: boolean | undefined;
      /** The error body's `retryable`. */
      bodyRetryable?: boolean | undefined;
      /** What the service asks to wait, body before headers. */
      retryAfterMs?: number | undefined;
    };

/** True when sending the same request again, unchanged, is safe and may help. */
export function mayRetry(outcome: Outcome, repeatable: boolean): boolean {
  switch (outcome.kind) {
    case "final":
      return false;
    case "unreached":
      return true;
    case "lost":
      return repeatable;
    case "answered": {
      const { status, code, shouldRetry, bodyRetryable } = outcome;
      // The same stale If-Match cannot win: the caller has to read the machine again first.
      if (code === "REVISION_MISMATCH" || !repeatable) return false;
      if (status === 409) return bodyRetryable === true && shouldRetry !== false;
      if (status !== 408 && status !== 429 && status < 500) return false;
      return shouldRetry ?? bodyRetryable ?? true;
    }
  }
}

export interface Attempt {
  /** 0 for the first. */
  number: number;
  /** How many answers of 429 came directly before this outcome. */
  limited: number;
  maxRetries: number;
  /** A read, or a change with an idempotency key. */
  repeatable: boolean;
  /** What is left of the caller's time, in milliseconds. */
  remainingMs: number;
}

/** How one service wants its failures met. */
export interface RetryPolicy {
  /** True when the same request may succeed later: what an error says as `retryable`. */
  mayHelp(outcome: Outcome): boolean;
  /** Milliseconds to wait before the next attempt, or undefined to stop. `random` is from 0 to below 1. */
  delay(outcome: Outcome, attempt: Attempt, random: number): number | undefined;
}

/** Milliseconds to wait before the next attempt, or undefined to stop. `random` is from 0 to below 1. */
export function retryDelay(outcome: Outcome, attempt: Attempt, random: number): number | undefined {
  if (attempt.number >= attempt.maxRetries || !mayRetry(outcome, attempt.repeatable)) return undefined;
  const hint = outcome.kind === "answered" ? outcome.retryAfterMs : undefined;
  if (hint !== undefined && hint > retryDefaults.longestHintMs) return undefined;
  const delayMs = hint === undefined ? backoff(attempt.number, random) : afterHint(hint, random);
  return delayMs < attempt.remainingMs ? delayMs : undefined;
}

/** Everything that is repeatable is tried again, with backoff or at the service's own time. */
export const patientRetry: RetryPolicy = {
  mayHelp: (outcome) => mayRetry(outcome, true),
  delay: retryDelay,
};

/** 500 ms, doubled each time up to 8 s, less up to a quarter. */
export function backoff(failures: number, random: number): number {
  const full = Math.min(retryDefaults.firstDelayMs * 2 ** failures, retryDefaults.longestDelayMs);
  return Math.round(full * (0.75 + 0.25 * random));
}

/** Never before the service's time; a little after, so that not everybody comes at once. */
export function afterHint(hintMs: number, random: number): number {
  return Math.round(hintMs + random * Math.min(hintMs * 0.1 + 25, 1_000));
}

export type Headers = Readonly<Record<string, string | string[] | undefined>>;

export const firstHeader = (headers: Headers, name: string): string | undefined => {
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
};

/** `Retry-After-Ms`, else `Retry-After` in seconds or as a date; undefined when neither says anything usable. */
export function retryAfterOf(headers: Headers, nowMs: number): number | undefined {
  const exact = number(firstHeader(headers, "retry-after-ms"));
  if (exact !== undefined) return exact;
  const text = firstHeader(headers, "retry-after");
  const seconds = number(text);
  if (seconds !== undefined) return seconds * 1_000;
  const at = text === undefined ? NaN : Date.parse(text);
  return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs);
}

export function shouldRetryOf(headers: Headers): boolean | undefined {
  const text = firstHeader(headers, "x-should-retry")?.trim().toLowerCase();
  return text === "true" ? true : text === "false" ? false : undefined;
}

const number = (text: string | undefined): number | undefined =>
  text !== undefined && /^\s*\d+(\.\d+)?\s*$/.test(text) ? Number(text) : undefined;
