/** One at a time for each machine, in the order of asking. */
export class Turns {
  private readonly last = new Map<string, Promise<unknown>>();

  async take<T>(machineId: string, work: () => Promise<T>): Promise<T> {
    const before = this.last.get(machineId) ?? Promise.resolve();
    const mine = before.then(work, work);
    this.last.set(machineId, mine);
    try {
      return await mine;
    } finally {
      if (this.last.get(machineId) === mine) this.last.delete(machineId);
    }
  }
}
