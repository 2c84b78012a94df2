/** Wakes whoever waits for a change; one that comes between looking and waiting is not missed. */
export class Pulse {
  private beats = 0;
  private readonly waiting = new Set<() => void>();

  /** Take it before you look. */
  get now(): number {
    return this.beats;
  }

  beat(): void {
    this.beats++;
    for (const wake of [...this.waiting]) wake();
  }

  /** Resolves at the first beat after `seen`, or when the signal aborts. */
  after(seen: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (this.beats !== seen || signal?.aborted) {
        resolve();
        return;
      }
      // A set and not Promise.race: that would keep every wait for as long as the signal lives.
      const wake = (): void => {
        this.waiting.delete(wake);
        signal?.removeEventListener("abort", wake);
        resolve();
      };
      this.waiting.add(wake);
      signal?.addEventListener("abort", wake);
    });
  }
}
