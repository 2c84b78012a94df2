/** Input of commands: what one of them gets is written in the order in which it came. */
export class InputQueue {
  private readonly last = new Map<string | number, Promise<void>>();

  /** Rejects with what `write` throws; what comes after it is tried nevertheless. */
  run(command: string | number, write: () => Promise<void>): Promise<void> {
    const before = this.last.get(command) ?? Promise.resolve();
    const mine = before.then(write);
    const settled = mine
      .catch(() => undefined)
      .then(() => {
        if (this.last.get(command) === settled) this.last.delete(command);
      });
    this.last.set(command, settled);
    return mine;
  }
}
