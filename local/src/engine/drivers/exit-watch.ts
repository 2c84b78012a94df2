/** Tells who listens when a machine's processes end although nobody asked for it. */
export class ExitWatch {
  private readonly listeners = new Map<string, Set<(words: string) => void>>();
  /** Machines whose outer process is our child, so that we are told. */
  private readonly ours = new Set<string>();
  private timer: NodeJS.Timeout | undefined;

  /** `words` says why it ended, as far as the host knows. */
  constructor(
    private readonly isRunning: (machineId: string) => Promise<boolean>,
    private readonly words: (machineId: string) => Promise<string>,
  ) {}

  onExit(machineId: string, listener: (words: string) => void): () => void {
    const set = this.listeners.get(machineId) ?? new Set();
    this.listeners.set(machineId, set.add(listener));
    // Nobody tells us of the machines of an earlier control plane: look once a second.
    this.timer ??= setInterval(() => {
      for (const id of this.listeners.keys()) if (!this.ours.has(id)) void this.look(id);
    }, 1000).unref();
    return () => {
      set.delete(listener);
      if (set.size === 0 && this.listeners.get(machineId) === set) this.forget(machineId);
    };
  }

  /** A child of ours stands for the machine from now on. */
  childStarts(machineId: string): void {
    this.ours.add(machineId);
  }

  /** It has ended, with the machine or, when only it was killed, without. */
  childEnded(machineId: string): void {
    this.ours.delete(machineId);
    void this.look(machineId);
  }

  private async look(machineId: string): Promise<void> {
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
