/** A caller's signal and a limit in time as one signal, with nothing left behind when the work is done. */

/** The longest timer that Node keeps, in milliseconds. */
const longestTimerMs = 2 ** 31 - 1;

export interface Deadline {
  /** Aborted with the caller's reason, or with the error for the time being over. */
  readonly signal: AbortSignal;
  /** Milliseconds until the end; Infinity without a limit. */
  remainingMs(): number;
  /** The limit no longer counts; the caller's signal still does. */
  stopClock(): void;
  dispose(): void;
}

export interface DeadlineOptions {
  outer?: AbortSignal | undefined;
  /** Infinity is no limit. */
  timeoutMs: number;
  now: () => number;
  onExpiry: () => Error;
}

export function startDeadline({ outer, timeoutMs, now, onExpiry }: DeadlineOptions): Deadline {
  const controller = new AbortController();
  const endsAt = now() + timeoutMs;
  const passOn = (): void => controller.abort(outer?.reason);
  if (outer?.aborted) passOn();
  else outer?.addEventListener("abort", passOn, { once: true });
  const timer =
    timeoutMs <= longestTimerMs ? setTimeout(() => controller.abort(onExpiry()), timeoutMs) : undefined;
  return {
    signal: controller.signal,
    remainingMs: () => endsAt - now(),
    stopClock: () => clearTimeout(timer),
    dispose: () => {
      clearTimeout(timer);
      outer?.removeEventListener("abort", passOn);
    },
  };
}
