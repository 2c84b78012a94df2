/** Turns at something that one at a time may use, in the order of asking. */
export class DiskTurns {
  private last: Promise<void> = Promise.resolve();

  /** Asks for a turn at once; the work begins when every earlier turn is over. */
  async take<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.reserve();
    await turn.ready;
    try {
      return await work();
    } finally {
      turn.release();
    }
  }

  /** For whoever asks now and works later. `release` has to be called, whatever happens. */
  reserve(): { ready: Promise<void>; release: () => void } {
    const ready = this.last;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.last = promise;
    return { ready, release: resolve };
  }
}
