/** `client.lifecycle`: what happened to machines and snapshots, and what happens now. */
import type { CallOptions } from "../call";
import type { NullspaceContext } from "./context";
import {
  LifecycleHistory,
  type AccountHistoryParams,
  type HistoryParams,
  type HistoryScope,
  type LifecycleListing,
} from "./lifecycle-history";
import { streamLifecycle, type LifecycleStreamParams } from "./lifecycle-stream";
import {
  subscribeLifecycle,
  type LifecycleSubscription,
  type SubscribeParams,
} from "./lifecycle-subscription";
import type { LifecycleEvent } from "./wire";

/**
 * An event has one id in history, stream and webhooks. Events are for customers only. Where the service keeps no history,
 * calls throw NotImplementedError.
 */
export class Lifecycle {
  constructor(private readonly context: NullspaceContext) {}

  /** Of the whole account. @throws UsageError */
  list(params: AccountHistoryParams = {}, options?: CallOptions): LifecycleListing {
    return this.history({ kind: "account" }).list(params, options);
  }

  /** Of one machine, whether it is what an event is about, its source or its target. @throws NotFoundError */
  listForMachine(machineId: string, params: HistoryParams = {}, options?: CallOptions): LifecycleListing {
    return this.history({ kind: "machine", machineId }).list(params, options);
  }

  /** Of one snapshot. @throws NotFoundError */
  listForSnapshot(snapshotId: string, params: HistoryParams = {}, options?: CallOptions): LifecycleListing {
    return this.history({ kind: "snapshot", snapshotId }).list(params, options);
  }

  /**
   * What the history holds after an event now, oldest first, each once; it ends there. `since` goes on.
   * @throws NotFoundError for an event that is not in the history (any more)
   */
  listAfter(
    event: string | Pick<LifecycleEvent, "id" | "occurredAt">,
    params: Omit<AccountHistoryParams, "from" | "order" | "offset"> = {},
    options?: CallOptions,
  ): AsyncGenerator<LifecycleEvent, void> {
    return this.history({ kind: "account" }).after(event, params, options);
  }

  /**
   * The last events, and then each one as it happens. A dropped connection is opened anew, and no event is lost or comes
   * twice. Never ends by itself.
   *
   * @example for await (const event of client.lifecycle.stream({ operation: "create" })) console.log(event.machineId);
   */
  stream(params: LifecycleStreamParams = {}): AsyncGenerator<LifecycleEvent, never> {
    return streamLifecycle({ context: this.context }, params);
  }

  /** The same over the machine's own socket. @throws NotFoundError */
  streamForMachine(
    machineId: string,
    params: Omit<LifecycleStreamParams, "machineId"> = {},
  ): AsyncGenerator<LifecycleEvent, never> {
    return streamLifecycle({ context: this.context, machineId }, params);
  }

  /**
   * Goes on after an event that was seen, wherever it came from: history, stream or webhook.
   * @throws NotFoundError for an event that the service does not know (any more), so that a gap could not be told
   */
  since(
    eventId: string,
    params: Omit<LifecycleStreamParams, "afterEventId" | "liveOnly"> = {},
  ): AsyncGenerator<LifecycleEvent, never> {
    return this.stream({ ...params, afterEventId: eventId });
  }

  /** The stream for callbacks, until it is stopped. @example const { stop } = client.lifecycle.subscribe({ onEvent, onError }); */
  subscribe(params: SubscribeParams): LifecycleSubscription {
    return subscribeLifecycle((each) => this.stream(each), params);
  }

  private history(scope: HistoryScope): LifecycleHistory {
    return new LifecycleHistory(this.context.transport, scope);
  }
}
