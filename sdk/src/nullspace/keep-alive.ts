/** Keeps a machine's lease from ending, until it is told to stop. */
import type { Deps } from "../deps";
import { NotFoundError } from "../errors";
import type { TimeoutAction } from "./rules";
import type { Lease } from "./machine-answers";

export interface KeepAliveOptions {
  /** Of each lease, in milliseconds; it is renewed every half of it, at least every second. */
  timeoutMs: number;
  /** Default as it is. */
  timeoutAction?: TimeoutAction | undefined;
  /**
   * Told of each renewal that fails; the next one is tried half a window later, or given up when the machine is gone.
   * Without it `stop` throws the first failure that was not made good by a later renewal.
   */
  onError?: ((error: unknown) => void) | undefined;
  /** Stops it. */
  signal?: AbortSignal | undefined;
}

/** Renewals under way; the process stays alive with it, as the machine does. */
export interface KeepAlive extends AsyncDisposable {
  /** The last lease that was granted. */
  readonly lease: Lease;
  /** True until it is stopped, or the machine is gone. */
  readonly running: boolean;
  /** Ends the renewals; the lease then runs out in its time. */
  stop(): Promise<void>;
}

/** The vendor's shortest time between two renewals, in milliseconds. */
const shortestMs = 1_000;

export async function startKeepAlive(
  deps: Pick<Deps, "sleep">,
  { timeoutMs, onError, signal }: KeepAliveOptions,
  renew: (signal: AbortSignal) => Promise<Lease>,
): Promise<KeepAlive> {
  signal?.throwIfAborted();
  const controller = new AbortController();
  const passOn = (): void => controller.abort(signal?.reason);
  signal?.addEventListener("abort", passOn, { once: true });
  const ending = controller.signal;
  let running = true;
  let failure: { error: unknown } | undefined;
  let lease: Lease;
  try {
    lease = await renew(ending);
  } catch (error) {
    signal?.removeEventListener("abort", passOn);
    throw error;
  }

  const loop = async (): Promise<void> => {
    for (;;) {
      await deps.sleep(Math.max(shortestMs, timeoutMs / 2), ending);
      try {
        lease = await renew(ending);
        failure = undefined;
      } catch (error) {
        if (ending.aborted) return;
        if (onError) onError(error);
        else failure ??= { error };
        if (error instanceof NotFoundError) return;
      }
    }
  };
  const done = loop()
    .catch((error: unknown) => {
      // Ended by the signal, or by an `onError` that throws.
      if (!ending.aborted) failure ??= { error };
    })
    .finally(() => {
      running = false;
      signal?.removeEventListener("abort", passOn);
    });

  const stop = async (): Promise<void> => {
    controller.abort();
    await done;
    const found = failure;
    failure = undefined;
    if (found) throw found.error;
  };
  return {
    get lease() {
      return lease;
    },
    get running() {
      return running;
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
