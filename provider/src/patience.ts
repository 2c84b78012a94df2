/** Waits out refusals that time heals, such as 429 and 503. */
import type { Context } from "./context";
import { RefusedError } from "./controlplane/port";
import { spanOf } from "./history";

const firstPauseMs = 1_000;
const longestPauseMs = 30_000;

/** Nobody is there at all: more likely a wrong address, or a control plane that was not started, than a passing fault. */
const nobodyThere: readonly string[] = ["connection_refused", "host_not_found"];

/** How long to wait before the next try, in milliseconds; undefined when the call is not worth repeating in time. */
export function pauseAfter(error: unknown, refusals: number, context: Context): number | undefined {
  if (context.signal.aborted || !(error instanceof RefusedError) || !error.retryable) return undefined;
  const pause = error.retryAfterMs ?? Math.min(firstPauseMs * 2 ** refusals, longestPauseMs);
  return context.clock.now() + pause < context.deadline ? pause : undefined;
}

/** Repeats a call, which must be safe to repeat, while it is refused for now; says why on the resource's row. */
export async function patiently<T>(context: Context, call: () => Promise<T>): Promise<T> {
  for (let refusals = 0; ; refusals += 1) {
    try {
      return await call();
    } catch (error) {
      const pause = pauseAfter(error, refusals, context);
      if (pause === undefined || nobodyThere.includes((error as RefusedError).code)) throw error;
      context.log(`${(error as RefusedError).message}; trying again in ${spanOf(pause)}`);
      await context.clock.sleep(pause, context.signal);
    }
  }
}
