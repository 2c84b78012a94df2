/** The last ids that were seen: at least so many, at most twice as many, each found and forgotten in constant time. */
export class RecentIds {
  private newer = new Set<string>();
  private older = new Set<string>();

  constructor(private readonly least: number) {}

  has(id: string): boolean {
    return this.newer.has(id) || this.older.has(id);
  }

  /** True for one that is not remembered; it is from now on. */
  isNew(id: string): boolean {
    if (this.has(id)) return false;
    this.newer.add(id);
    if (this.newer.size >= this.least) {
      this.older = this.newer;
      this.newer = new Set();
    }
    return true;
  }
}
