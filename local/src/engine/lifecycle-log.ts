/**
 * The account's lifecycle log, as history and as a stream. Events are written in the transaction of the change that they
 * report, as its last step; their numbers have no gaps and follow the commits.
 */
import { randomUUID } from "node:crypto";
import { setImmediate as breathe } from "node:timers/promises";
import { machineRowsOf, machinesOf, rowFromEvent } from "../store/event-rows";
import type { Flavor } from "../store/flavor";
import type { Database, Tx } from "../store/store";
import type { EngineWebhooks } from "../webhooks/webhooks";
import type { EventFilter, EventListener, FollowEvents, LifecycleLog } from "./control-plane";
import { EventFeed } from "./event-feed";
import { EventStore, type Order } from "./event-store";
import type { EventDraft } from "./lifecycle-events";
import type { LifecycleEventRecord } from "./record";

export interface LifecycleLogHost {
  readonly db: Database;
  readonly flavor: Flavor;
  readonly now: () => Date;
  readonly report: (message: string, error?: unknown) => void;
  readonly webhooks: () => Pick<EngineWebhooks, "enqueue" | "poke" | "forget">;
}

/** Events forgotten in one transaction. */
const pruneChunk = 1000;

export class EngineLifecycleLog implements LifecycleLog {
  private readonly store: EventStore;
  private readonly feed: EventFeed;

  constructor(private readonly host: LifecycleLogHost) {
    this.store = new EventStore(host.db);
    this.feed = new EventFeed(this.store, host.report);
  }

  /** Call it before anything is written or followed. */
  async open(): Promise<void> {
    await this.store.open();
    this.feed.open();
  }

  /**
   * Runs a transaction, writes the events that it returns as the last thing in it, and tells of them when it is committed.
   */
  async transact(work: (tx: Tx) => Promise<readonly EventDraft[]>): Promise<void> {
    const events = await this.host.db.transaction().execute(async (tx) => this.append(tx, await work(tx)));
    const last = events.at(-1);
    if (!last) return;
    this.store.newest = Math.max(this.store.newest, last.sequence);
    this.feed.announce();
    this.host.webhooks().poke();
  }

  async page(
    filter: EventFilter,
    page: { offset: number; limit: number; order: Order },
  ): Promise<{ events: LifecycleEventRecord[]; hasMore: boolean }> {
    const span = await this.store.span(filter);
    if (!span) return { events: [], hasMore: false };
    // One more than fits tells whether there is a next page.
    const events = await this.store.select(filter, span, { ...page, limit: page.limit + 1 });
    return { events: events.slice(0, page.limit), hasMore: events.length > page.limit };
  }

  get(id: string): Promise<LifecycleEventRecord> {
    return this.store.get(id);
  }

  follow(options: FollowEvents, listener: EventListener): Promise<() => void> {
    return this.feed.follow(options, listener);
  }

  /** Forgets what occurred before this moment, and its deliveries. */
  async prune(before: Date): Promise<void> {
    const span = await this.store.span({ to: before.toISOString() });
    if (!span) return;
    // The newest event stays: the numbers go on from it.
    const last = Math.min(span.last, this.store.newest - 1);
    for (let first = span.first; first <= last; first += pruneChunk) {
      await this.forget({ first, last: Math.min(last, first + pruneChunk - 1) });
      await breathe();
    }
  }

  close(): Promise<void> {
    return this.feed.close();
  }

  private async append(tx: Tx, drafts: readonly EventDraft[]): Promise<LifecycleEventRecord[]> {
    if (drafts.length === 0) return [];
    const { flavor, now, webhooks } = this.host;
    await flavor.lockLog(tx);
    const last = await tx
      .selectFrom("lifecycle_events")
      .select(["seq", "occurred_at"])
      .orderBy("seq", "desc")
      .limit(1)
      .executeTakeFirst();
    const at = now().toISOString();
    // A clock that was set back does not turn the order of times against that of the numbers.
    const occurredAt = last && last.occurred_at > at ? last.occurred_at : at;
    const sequence = (last?.seq ?? 0) + 1;
    const events = drafts.map((draft, place) => ({
      ...draft,
      sequence: sequence + place,
      id: randomUUID(),
      occurredAt,
    }));
    await tx.insertInto("lifecycle_events").values(events.map(rowFromEvent)).execute();
    const machines = events.flatMap(machineRowsOf);
    if (machines.length > 0) await tx.insertInto("lifecycle_machines").values(machines).execute();
    await webhooks().enqueue(tx, events);
    return events;
  }

  /** The oldest events, up to the last of this span. */
  private async forget(span: { first: number; last: number }): Promise<void> {
    const events = await this.store.select({}, span, { offset: 0, limit: pruneChunk, order: "asc" });
    const machines = [...new Set(events.flatMap(machinesOf))];
    await this.host.db.transaction().execute(async (tx) => {
      await this.host.webhooks().forget(tx, span.last);
      if (machines.length > 0) {
        await tx
          .deleteFrom("lifecycle_machines")
          .where("machine_id", "in", machines)
          .where("seq", "<=", span.last)
          .execute();
      }
      await tx.deleteFrom("lifecycle_events").where("seq", "<=", span.last).execute();
    });
    this.store.oldest = span.last + 1;
  }
}
