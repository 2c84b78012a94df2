/**
 * How far a lifecycle stream has come: what was handed on, from where the next connection goes on, and what a service that
 * replays too little has left out, which the history tells.
 */
import type { CallOptions } from "../call";
import type { Deps } from "../deps";
import { NotFoundError, NotImplementedError, PermissionError } from "../errors";
import type { Transport } from "../http";
import { RecentIds } from "../recent-ids";
import { matches, type LifecycleFilter, type SubscribeFrom } from "./lifecycle-filter";
import { LifecycleHistory } from "./lifecycle-history";
import type { LifecycleEvent } from "./wire";

/** More than a service replays at once, so that none of it is told twice. */
const rememberedIds = 100_000;

type Cursor =
  /** After this event. `isDelivered` is false for one that the caller named: it may be any machine's. */
  | { kind: "after"; id: string; occurredAt?: string; isDelivered: boolean }
  /** The log was empty so far. */
  | { kind: "start" }
  /** As the caller said: nothing else is known yet. */
  | { kind: "initial" };

export class LifecyclePlace {
  private cursor: Cursor;
  private readonly seen = new RecentIds(rememberedIds);
  private readonly history: LifecycleHistory;
  private readonly account: LifecycleHistory;

  constructor(
    transport: Transport,
    private readonly deps: Pick<Deps, "log">,
    private readonly filter: LifecycleFilter,
    private readonly first: SubscribeFrom,
  ) {
    const { afterEventId } = first;
    const { machineId } = filter;
    this.account = new LifecycleHistory(transport, { kind: "account" });
    this.history =
      machineId === undefined
        ? this.account
        : new LifecycleHistory(transport, { kind: "machine", machineId });
    this.cursor =
      afterEventId === undefined
        ? { kind: "start" }
        : { kind: "after", id: afterEventId, isDelivered: false };
  }

  /** Before the first connection: a stream that replays nothing has to know what it does not owe. */
  async begin(options: CallOptions): Promise<void> {
    const { afterEventId, liveOnly, replayLimit } = this.first;
    if (afterEventId !== undefined || !(liveOnly === true || replayLimit === 0)) return;
    try {
      const page = await this.history.list({ ...this.asParams(), limit: 1 }, options).page();
      const newest = page.events[0];
      this.cursor = newest
        ? { kind: "after", id: newest.id, occurredAt: newest.occurredAt, isDelivered: true }
        : { kind: "start" };
    } catch (error) {
      options.signal?.throwIfAborted();
      this.deps.log(`lifecycle stream: without history a live stream cannot resume: ${String(error)}`);
    }
  }

  /** Where a connection begins. */
  from(isFirst: boolean): SubscribeFrom {
    const { replayLimit } = this.first;
    if (isFirst || this.cursor.kind === "initial") return this.first;
    if (this.cursor.kind === "start") return { liveOnly: false, replayLimit: 10_000 };
    return { liveOnly: false, afterEventId: this.cursor.id, replayLimit };
  }

  /** True when what comes first on this connection may not be what comes next. */
  mayHaveMissed(isFirst: boolean): boolean {
    if (this.cursor.kind === "initial") return false;
    return !isFirst || this.first.afterEventId !== undefined;
  }

  /** True for an event that was not handed on yet; it counts as handed on then. */
  accept(event: LifecycleEvent): boolean {
    if (!this.seen.isNew(event.id)) return false;
    this.cursor = { kind: "after", id: event.id, occurredAt: event.occurredAt, isDelivered: true };
    return true;
  }

  /**
   * What the history holds after our place, up to an event that the stream has brought, or all of it.
   * @throws NotFoundError `event_not_found` where the caller's own event is not in the history
   */
  async *missed(upTo: string | undefined, signal: AbortSignal): AsyncGenerator<LifecycleEvent, void> {
    try {
      for await (const event of this.rest({ signal })) {
        if (event.id === upTo) return;
        if (matches(event, this.filter) && this.accept(event)) yield event;
      }
    } catch (error) {
      signal.throwIfAborted();
      const { cursor } = this;
      const isOurs = cursor.kind !== "after" || cursor.isDelivered;
      const isUnknown = error instanceof NotFoundError && error.code === "event_not_found";
      const isAbsent =
        !isUnknown &&
        [NotFoundError, NotImplementedError, PermissionError].some((kind) => error instanceof kind);
      // The service itself has accepted the place; its history just cannot confirm it.
      if (!isAbsent && !(isOurs && isUnknown)) throw error;
      this.deps.log(`lifecycle stream: the history cannot tell what was missed: ${(error as Error).message}`);
    }
  }

  private rest(options: CallOptions): AsyncIterable<LifecycleEvent> {
    const { cursor } = this;
    const params = this.asParams();
    if (cursor.kind !== "after") return this.history.list({ ...params, order: "asc", limit: 100 }, options);
    const { id, occurredAt, isDelivered } = cursor;
    const event = occurredAt === undefined ? id : { id, occurredAt };
    return (isDelivered ? this.history : this.account).after(event, params, options);
  }

  /** What the history can filter by itself. */
  private asParams() {
    const { operation, status, snapshotId, machineId } = this.filter;
    // A machine's own history takes no snapshot; what it does not filter is filtered here.
    return { operation, status, ...(machineId === undefined ? { snapshotId } : {}) };
  }
}
