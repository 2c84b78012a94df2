/** What the clients take from outside, so that a test can hold it. */
import { setTimeout as delay } from "node:timers/promises";

export interface Deps {
  /** Milliseconds since 1970. */
  now(): number;
  /** Waits; rejects with the signal's reason when that is aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** From 0 to below 1. */
  random(): number;
  /** One line for a person who looks for a fault; never holds a key. */
  log(line: string): void;
}

export const realDeps: Deps = {
  now: () => Date.now(),
  random: () => Math.random(),
  log: () => undefined,
  sleep: async (ms, signal) => {
    try {
      await delay(ms, undefined, signal ? { signal } : {});
    } catch (error) {
      throw signal?.aborted ? signal.reason : error;
    }
  },
};
