/**
 * The lifecycle log as its readers see it: what is stored, then what is committed, in order, each event once and none left
 * out, at whatever moment a reader joins. New rows are read once for all readers that have caught up; one that has not, or
 * that asks for time, reads pages of its own, so that nothing is kept in memory for it.
 */
import { setImmediate as breathe, setTimeout as sleep } from "node:timers/promises";
import type { EventFilter, EventListener, FollowEvents, TakenPart } from "./control-plane";
import { machineIn, matchesEvent } from "./event-filter";
import type { EventStore } from "./event-store";
import { Line, sliceMs } from "./line";
import type { LifecycleEventRecord } from "./record";
import { machinesOf } from "../store/event-rows";

/** Events read in one go; a reader that is behind is given as many as it turns out to take. */
const chunk = 500;
const firstChunk = 50;
const defaultReplay = 100;
/** Waits when the store cannot be asked. */
const storeRetryMs = 1_000;

interface Reader {
  readonly filter: EventFilter;
  readonly listener: EventListener;
  /** Told of, or not wanted: everything up to this number. */
  cursor: number;
  /** How many it is given at a time. */
  chunk: number;
  ended: boolean;
}

/** Readers of one machine are found by it, all others under "". */
const keyOf = (reader: Reader): string => machineIn(reader.filter) ?? "";

export class EventFeed {
  private readonly live = new Map<string, Set<Reader>>();
  private readonly line = new Line();
  /** Every live reader was told up to here. */
  private told = 0;
  private tailing: Promise<void> | undefined;
  private readonly closing = new AbortController();

  constructor(
    private readonly store: EventStore,
    private readonly report: (message: string, error?: unknown) => void,
  ) {}

  /** Call it before anything is appended or followed. */
  open(): void {
    this.told = this.store.newest;
  }

  /** Says that the log has grown. */
  announce(): void {
    if (this.closing.signal.aborted) return;
    this.tailing ??= this.tail().finally(() => {
      this.tailing = undefined;
      if (this.told < this.store.newest) this.announce();
    });
  }

  /** The listener is first called after the returned promise has resolved. @throws Refusal event_not_found */
  async follow(options: FollowEvents, listener: EventListener): Promise<() => void> {
    const cursor = await this.line.run(() => this.startOf(options));
    const reader: Reader = { filter: options.filter, listener, cursor, chunk: firstChunk, ended: false };
    setImmediate(() => {
      this.catchUp(reader);
    });
    return () => {
      this.end(reader);
    };
  }

  async close(): Promise<void> {
    this.closing.abort();
    await this.tailing;
    await this.line.idle();
    this.live.clear();
  }

  // ------------------------------------------------------------- the past

  private async startOf({ filter, after, liveOnly, replayLimit }: FollowEvents): Promise<number> {
    if (after !== undefined) return (await this.store.get(after)).sequence;
    const { newest } = this.store;
    const wanted = liveOnly === true ? 0 : (replayLimit ?? defaultReplay);
    const span = wanted === 0 ? undefined : await this.store.span(filter);
    if (!span) return newest;
    const first = filter.metadata
      ? await this.nthLastWithMetadata(filter, span.last, wanted)
      : await this.store.nth(filter, span, "desc", wanted - 1);
    return (first ?? span.first) - 1;
  }

  /** Metadata is matched here, not by the store: page by page backwards. */
  private async nthLastWithMetadata(
    filter: EventFilter,
    from: number,
    wanted: number,
  ): Promise<number | undefined> {
    let [last, left] = [from, wanted];
    for (;;) {
      const page = { offset: 0, limit: chunk, order: "desc" } as const;
      const events = await this.store.select(filter, { first: 1, last }, page);
      for (const event of events) {
        if (matchesEvent(event, filter) && --left === 0) return event.sequence;
      }
      const oldest = events.at(-1);
      if (!oldest || events.length < chunk) return undefined;
      last = oldest.sequence - 1;
      await breathe();
    }
  }

  /** One page of a reader that is behind, and then the next, until it has caught up. */
  private catchUp(reader: Reader): void {
    this.line
      .run(async () => {
        if (reader.ended || this.closing.signal.aborted) return;
        if (reader.cursor >= this.told) {
          this.join(reader);
          return;
        }
        const last = this.told;
        const page = { offset: 0, limit: reader.chunk, order: "asc" } as const;
        const events = await this.store.select(reader.filter, { first: reader.cursor + 1, last }, page);
        const full = events.length === page.limit;
        reader.cursor = (full ? events.at(-1)?.sequence : undefined) ?? last;
        reader.chunk = Math.min(chunk, 2 * reader.chunk);
        const taken = this.give(reader, events);
        if (!taken) this.catchUp(reader);
        else
          void taken.then(() => {
            this.catchUp(reader);
          });
      })
      .catch(async (error: unknown) => {
        this.report("lifecycle log: could not read for a stream, trying again", error);
        await this.pause();
        this.catchUp(reader);
      });
  }

  /** Nothing may come between the look at `told` and this. */
  private join(reader: Reader): void {
    const key = keyOf(reader);
    const readers = this.live.get(key) ?? new Set();
    this.live.set(key, readers.add(reader));
  }

  private leave(reader: Reader): void {
    const key = keyOf(reader);
    const readers = this.live.get(key);
    readers?.delete(reader);
    if (readers?.size === 0) this.live.delete(key);
  }

  private end(reader: Reader): void {
    reader.ended = true;
    this.leave(reader);
  }

  // ------------------------------------------------------------- the present

  private async tail(): Promise<void> {
    while (this.told < this.store.newest && !this.closing.signal.aborted) {
      try {
        const span = { first: this.told + 1, last: Number.MAX_SAFE_INTEGER };
        const events = await this.store.select({}, span, { offset: 0, limit: chunk, order: "asc" });
        // From here to the list of readers in one go: who joins later has read these events itself.
        this.told = events.at(-1)?.sequence ?? this.store.newest;
        await this.tell(this.interestedIn(events), events);
      } catch (error) {
        this.report("lifecycle log: could not read what is new, trying again", error);
        await this.pause();
      }
    }
  }

  private interestedIn(events: readonly LifecycleEventRecord[]): Reader[] {
    const keys = new Set(["", ...events.flatMap(machinesOf)]);
    return [...keys].flatMap((key) => [...(this.live.get(key) ?? [])]);
  }

  private async tell(readers: readonly Reader[], events: readonly LifecycleEventRecord[]): Promise<void> {
    const last = events.at(-1)?.sequence ?? 0;
    let since = performance.now();
    for (const reader of readers) {
      if (reader.ended) continue;
      const fresh = events.filter((event) => event.sequence > reader.cursor);
      reader.cursor = Math.max(reader.cursor, last);
      const taken = this.give(reader, fresh);
      if (taken) {
        // It is behind until it has taken what it was given.
        this.leave(reader);
        void taken.then(() => {
          this.catchUp(reader);
        });
      }
      if (performance.now() - since <= sliceMs) continue;
      await breathe();
      since = performance.now();
    }
  }

  // ------------------------------------------------------------- both

  /** Resolves when the reader has room for more; undefined when it has taken at once what it wants of these. */
  private give(reader: Reader, events: readonly LifecycleEventRecord[]): Promise<void> | undefined {
    const wanted = events.filter((event) => matchesEvent(event, reader.filter));
    if (wanted.length === 0) return undefined;
    const failed = (error: unknown) => {
      this.end(reader);
      this.report("lifecycle log: a stream failed and is ended", error);
    };
    try {
      const answer = reader.listener(wanted);
      if (!answer) return undefined;
      return ("taken" in answer ? this.leaveRest(reader, wanted, answer) : answer).catch(failed);
    } catch (error) {
      failed(error);
      return undefined;
    }
  }

  /** The reader goes on with the first that it did not take. */
  private leaveRest(
    reader: Reader,
    wanted: readonly LifecycleEventRecord[],
    { taken, room }: TakenPart,
  ): Promise<void> {
    const next = wanted[taken];
    if (next) reader.cursor = next.sequence - 1;
    reader.chunk = Math.min(chunk, Math.max(1, 2 * taken));
    return room;
  }

  private async pause(): Promise<void> {
    await sleep(storeRetryMs, undefined, { signal: this.closing.signal }).catch(() => undefined);
  }
}
