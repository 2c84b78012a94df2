/** `lifecycle.subscribe`: the stream for callbacks. It connects again as the stream does. */
import type { LifecycleStreamParams } from "./lifecycle-stream";
import type { LifecycleEvent } from "./wire";

export interface SubscribeParams extends LifecycleStreamParams {
  /** Called for each event, in order; the next one waits for what it returns. What it throws goes to `onError`. */
  onEvent: (event: LifecycleEvent) => unknown;
  /**
   * Called with what `onEvent` has thrown, and with what has ended the subscription for good: a refused key, an error that the
   * service says. A dropped connection is none of these: it is opened anew.
   */
  onError: (error: unknown) => void;
}

export interface LifecycleSubscription extends AsyncDisposable {
  /** No event comes after it; resolves when the connection is gone and `onEvent` has returned. */
  stop(): Promise<void>;
  /** Resolves at the end, whoever brought it about. */
  readonly ended: Promise<void>;
}

export function subscribeLifecycle(
  open: (params: LifecycleStreamParams) => AsyncIterable<LifecycleEvent>,
  { onEvent, onError, signal, ...params }: SubscribeParams,
): LifecycleSubscription {
  const stopping = new AbortController();
  const both = signal ? AbortSignal.any([signal, stopping.signal]) : stopping.signal;
  const follow = async (): Promise<void> => {
    try {
      for await (const event of open({ ...params, signal: both })) {
        try {
          await onEvent(event);
        } catch (error) {
          onError(error);
        }
        if (both.aborted) return;
      }
    } catch (error) {
      if (!both.aborted) onError(error);
    }
  };
  const ended = follow();
  const stop = async (): Promise<void> => {
    stopping.abort();
    await ended;
  };
  return { ended, stop, [Symbol.asyncDispose]: stop };
}
