/** Jobs of thousands of readers: a few at a time, first come first served, and the event loop gets its turn in between. */
import { setImmediate as breathe } from "node:timers/promises";

/** At a time, so that a server in another process is not waited for one by one. */
const width = 4;
/** Milliseconds of work after which the event loop has its turn. What the sockets do at the end of it takes as long again. */
export const sliceMs = 4;

export class Line {
  private readonly waiting = new Set<() => Promise<void>>();
  private readonly workers = new Set<Promise<void>>();
  /** Those that still look for jobs; one of `workers` may just have ended. */
  private working = 0;
  private since = 0;

  /** Rejects with what the job throws. */
  run<T>(job: () => Promise<T>): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    this.waiting.add(() => job().then(resolve, reject));
    if (this.working < width) {
      this.working++;
      const worker: Promise<void> = this.work().finally(() => this.workers.delete(worker));
      this.workers.add(worker);
    }
    return promise;
  }

  /** Resolves when nobody waits any more. */
  async idle(): Promise<void> {
    while (this.workers.size > 0) await Promise.all(this.workers);
  }

  private async work(): Promise<void> {
    // Whoever asks in a burst gets here in the same turn of the loop: it counts from its beginning.
    if (this.working === 1) this.since = performance.now();
    for (const job of this.waiting) {
      this.waiting.delete(job);
      await job();
      if (performance.now() - this.since <= sliceMs) continue;
      await breathe();
      this.since = performance.now();
    }
    // In the same step as the last look: a job that comes now finds a worker that begins.
    this.working--;
  }
}
