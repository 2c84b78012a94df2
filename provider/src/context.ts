/** What an operation on a resource runs in: its identity, its limits, and the world it may touch. */
import type { ControlPlane } from "./controlplane/port";
import type { CreateJournal, SeenState } from "./journal";

export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Resolves after `ms`, or at once when `signal` aborts; never rejects. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

export interface Context {
  /** The resource's name in the program, for messages. */
  name: string;
  /** Empty where the caller does not know it; then progress goes to the stack's row. */
  urn: string;
  /** When the operation must end, in milliseconds since 1970. */
  deadline: number;
  /** How long the operation was given, in milliseconds, for messages. */
  allowedMs: number;
  /** Aborts when nobody waits for the operation any more, or at the deadline. */
  signal: AbortSignal;
  /** One line of progress on the resource's own row. */
  log(line: string): void;
  /** A line that stays on the terminal when the operation is over. */
  warn(line: string): void;
  controlPlane: ControlPlane;
  journal: CreateJournal;
  seen: SeenState;
  clock: Clock;
  /** A text that was never used before: idempotency keys of single changes, claims. */
  newKey(): string;
  /** From 0 to 1, for jitter. */
  random(): number;
}

export const realClock: Clock = {
  now: () => Date.now(),
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        resolve();
      };
      // Timers hold 31 bits of milliseconds.
      const timer = setTimeout(done, Math.min(ms, 2_147_483_647));
      signal.addEventListener("abort", done, { once: true });
    }),
};

/** Runs `work` in a context whose signal aborts `allowedMs` from now. */
export async function withDeadline<T>(
  context: Omit<Context, "deadline" | "allowedMs">,
  allowedMs: number,
  work: (context: Context) => Promise<T>,
): Promise<T> {
  const ended = new AbortController();
  const timer = new AbortController();
  const deadline = context.clock.now() + allowedMs;
  void context.clock.sleep(allowedMs, timer.signal).then(() => {
    if (!timer.signal.aborted) ended.abort(new DOMException("the deadline is over", "TimeoutError"));
  });
  try {
    const signal = AbortSignal.any([context.signal, ended.signal]);
    return await work({ ...context, signal, deadline, allowedMs });
  } finally {
    timer.abort();
  }
}
