/** What starts in a machine waits while the machine is held, and holding it waits for what is just starting. */
export class Gates {
  private readonly shutters = new Map<string, Promise<void>>();
  private readonly starting = new Map<string, Set<Promise<unknown>>>();

  /** Runs `work` when the machine is not held. */
  async pass<T>(machineId: string, work: () => Promise<T>): Promise<T> {
    for (let shut = this.shutters.get(machineId); shut; shut = this.shutters.get(machineId)) await shut;
    const mine = work();
    const all = this.starting.get(machineId) ?? new Set();
    this.starting.set(machineId, all.add(mine));
    try {
      return await mine;
    } finally {
      all.delete(mine);
      if (all.size === 0) this.starting.delete(machineId);
    }
  }

  /** Lets nothing more in; answers what opens it again. Nobody else may shut it meanwhile. */
  async shut(machineId: string): Promise<() => void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.shutters.set(machineId, promise);
    await Promise.allSettled([...(this.starting.get(machineId) ?? [])]);
    return () => {
      if (this.shutters.get(machineId) === promise) this.shutters.delete(machineId);
      resolve();
    };
  }
}
