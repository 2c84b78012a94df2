/**
 * Batches from a generator as an iterator of single items and a result: pulled as they are read, so that a slow reader holds
 * the source back. Knows nothing of what the items are.
 */
import { UsageError } from "../errors";

type Batch<T> = IteratorResult<T[], void>;

export class PulledStream<T, R> {
  private readonly outcome = Promise.withResolvers<R>();
  /** The first pull, which has begun by itself. */
  private ahead: Promise<Batch<T>> | undefined;
  private reader: "none" | "iterator" | "nobody" = "none";
  private isOver = false;
  private ending: Promise<void> | undefined;

  /** @param name of the source, for messages, such as `process 7 in machine m` */
  constructor(
    private readonly batches: AsyncGenerator<T[], R>,
    private readonly name: () => string,
  ) {
    // The same error goes to whoever iterates; who asks for neither is not told by a crash.
    this.outcome.promise.catch(() => undefined);
  }

  /** Begins to work before anybody reads. */
  start(): void {
    this.ahead = this.pull();
    this.ahead.catch(() => undefined); // Told to whoever reads or asks for the result.
  }

  /** Settles when the source has ended; reads nothing for it. */
  get over(): Promise<R> {
    return this.outcome.promise;
  }

  /** Settles when the source has ended. Where nobody reads, the items are thrown away as they come. */
  get result(): Promise<R> {
    if (this.reader === "none") setImmediate(() => void this.drain());
    return this.outcome.promise;
  }

  /** @param leave called when the loop is left before the end */
  iterate(leave: () => Promise<void>): AsyncIterator<T, undefined> {
    if (this.reader !== "none") {
      throw new UsageError({
        message: `the output of ${this.name()} is read already: iterate once, and before waiting for the result`,
        code: "invalid_argument",
      });
    }
    this.reader = "iterator";
    let batch: T[] = [];
    let at = 0;
    const next = (): Promise<IteratorResult<T, undefined>> =>
      at < batch.length ? Promise.resolve({ done: false, value: batch[at++] as T }) : more();
    const more = async (): Promise<IteratorResult<T, undefined>> => {
      const pulled = await this.take();
      if (pulled.done) return { done: true, value: undefined };
      batch = pulled.value;
      at = 0;
      return next();
    };
    return {
      next,
      return: async () => {
        batch = [];
        await leave();
        return { done: true, value: undefined };
      },
    };
  }

  /**
   * Ends with a reason of the caller's, once `work` is done; what is read meanwhile is not handed on. Nothing happens when the
   * source has ended.
   */
  giveUp(reason: unknown, work: () => Promise<void>): Promise<void> {
    if (this.isOver) return Promise.resolve();
    this.ending ??= work().then(() => {
      void this.batches.return(undefined as R).catch(() => undefined);
      this.fail(reason);
    });
    return this.ending;
  }

  private take(): Promise<Batch<T>> {
    const { ahead } = this;
    this.ahead = undefined;
    return ahead ?? this.pull();
  }

  private async pull(): Promise<Batch<T>> {
    try {
      const pulled = await this.batches.next();
      if (!pulled.done && !this.ending) return pulled;
      if (pulled.done && !this.ending) {
        this.isOver = true;
        this.outcome.resolve(pulled.value);
      }
    } catch (error) {
      if (!this.ending) this.fail(error);
    }
    await this.ending; // Its work is done first, then the reader is told.
    await this.outcome.promise;
    return { done: true, value: undefined };
  }

  private fail(reason: unknown): void {
    this.isOver = true;
    this.outcome.reject(reason);
  }

  private async drain(): Promise<void> {
    if (this.reader !== "none") return;
    this.reader = "nobody";
    try {
      for (let pulled = await this.take(); !pulled.done;) pulled = await this.take();
    } catch {
      // The result says it.
    }
  }
}
