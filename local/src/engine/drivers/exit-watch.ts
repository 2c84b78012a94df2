/** Tells who listens when a machine's processes end although nobody asked for it. */
export class ExitWatch {
  private readonly listeners = new Map<string, Set<(words: string) => void>>();
  private timer: NodeJS.Timeout | undefined;

  /** `words` says why it ended, as far as the host knows. */
  constructor(
    private readonly isRunning: (machineId: string) => Promise<boolean>,
    private readonly words: (machineId: string) => Promise<string>,
  ) {}

  onExit(machineId: string, listener: (words: string) => void): () => void {
    const set = this.listeners.get(machineId) ?? new Set();
    this.listeners.set(machineId, set.add(listener));
    // Machines of an earlier control plane are not our children, so nobody tells us: look once a second.
    this.timer ??= setInterval(() => {
      for (const id of this.listeners.keys()) void this.look(id);
    }, 1000).unref();
    return () => {
      set.delete(listener);
      if (set.size === 0 && this.listeners.get(machineId) === set) this.forget(machineId);
    };
  }

  /** Looks now; called when one of our own children has ended. */
  async look(machineId: string): Promise<void> {
    if (!this.listeners.has(machineId) || (await this.isRunning(machineId))) return;
    const words = await this.words(machineId);
    // Asked for again: a stop may have come meanwhile.
    const set = this.listeners.get(machineId);
    this.forget(machineId);
    for (const listener of set ?? []) listener(words);
  }

  /** Before a stop: what ends from now on was asked for. */
  forget(machineId: string): void {
    this.listeners.delete(machineId);
    if (this.listeners.size > 0) return;
    clearInterval(this.timer);
    this.timer = undefined;
  }

  close(): void {
    for (const id of [...this.listeners.keys()]) this.forget(id);
  }
}
