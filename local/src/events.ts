/**
 * The log of revisions, as its readers see it: what is stored, then each new revision as it is committed, in order,
 * none twice and none left out, at whatever moment a reader joins.
 */
import type { RevisionListener } from "./engine/control-plane";
import type { MachineRecord } from "./engine/record";
import { type Database, machineFromJson } from "./store/store";

/** Readers told in one go before the event loop gets a turn, so that thousands of streams do not hold it. */
const slice = 500;

interface Told {
  tell(record: MachineRecord): void;
}

/** Of one machine. */
class Reader implements Told {
  /** Live revisions that came while the stored ones were read; undefined once it has caught up. */
  waiting: MachineRecord[] | undefined = [];
  last = 0;
  ended = false;

  constructor(private readonly listener: RevisionListener) {}

  tell(record: MachineRecord): void {
    if (this.ended) return;
    if (this.waiting) this.waiting.push(record);
    else if (record.revision > this.last) {
      this.last = record.revision;
      this.listener(record);
    }
  }

  catchUp(stored: readonly MachineRecord[], from: number): void {
    const waiting = this.waiting ?? [];
    this.waiting = undefined;
    this.last = from;
    for (const record of stored) this.tell(record);
    for (const record of waiting) this.tell(record);
  }
}

export class RevisionLog {
  private readonly readers = new Map<string, Set<Reader>>();
  private readonly readersOfAll = new Set<Told>();
  /** Revisions that wait while an earlier one is told slice by slice. */
  private readonly queued = new Map<string, MachineRecord[]>();

  constructor(private readonly db: Database) {}

  /** Tells the readers of a machine about a revision. Call it after the commit, in order of revision. */
  publish(record: MachineRecord): void {
    const queue = this.queued.get(record.id);
    if (queue) {
      queue.push(record);
      return;
    }
    const readers = this.readersOf(record.id);
    if (readers.length <= slice) for (const reader of readers) reader.tell(record);
    else {
      this.queued.set(record.id, [record]);
      void this.drain(record.id);
    }
  }

  /** Tells every new revision of every machine. Returns what ends it. */
  followAll(listener: RevisionListener): () => void {
    const reader = { tell: listener };
    this.readersOfAll.add(reader);
    return () => {
      // It may be among those who are just being told, slice by slice.
      reader.tell = () => undefined;
      this.readersOfAll.delete(reader);
    };
  }

  private readersOf(id: string): Told[] {
    return [...(this.readers.get(id) ?? []), ...this.readersOfAll];
  }

  /** One revision after the other, each to all readers, so that no reader sees them out of order. */
  private async drain(id: string): Promise<void> {
    const queue = this.queued.get(id) ?? [];
    for (let record = queue.shift(); record; record = queue.shift()) {
      const readers = this.readersOf(id);
      for (let at = 0; at < readers.length; at += slice) {
        for (const reader of readers.slice(at, at + slice)) reader.tell(record);
        await new Promise(setImmediate);
      }
    }
    this.queued.delete(id);
  }

  /**
   * Calls `listener` with every revision after `after`, or first with `current` where `after` is not a revision that
   * this machine had. Returns what ends it.
   */
  async follow(
    id: string,
    after: number | undefined,
    current: () => Promise<MachineRecord>,
    listener: RevisionListener,
  ): Promise<() => void> {
    const reader = new Reader(listener);
    const readers = this.readers.get(id) ?? new Set();
    this.readers.set(id, readers.add(reader));
    const end = () => {
      reader.ended = true;
      readers.delete(reader);
      if (readers.size === 0 && this.readers.get(id) === readers) this.readers.delete(id);
    };
    try {
      const now = await current();
      if (after === undefined || after < 1 || after > now.revision) reader.catchUp([now], 0);
      else reader.catchUp(after === now.revision ? [] : await this.stored(id, after), after);
    } catch (error) {
      end();
      throw error;
    }
    return end;
  }

  private async stored(id: string, after: number): Promise<MachineRecord[]> {
    const rows = await this.db
      .selectFrom("revisions")
      .select("record")
      .where("machine_id", "=", id)
      .where("revision", ">", after)
      .orderBy("revision")
      .execute();
    return rows.map((row) => machineFromJson(row.record));
  }
}
