/** `client.lifecycle`: what happened to machines and snapshots. */
import type { CallOptions } from "../call";
import type { NullspaceContext } from "./context";
import {
  LifecycleHistory,
  type AccountHistoryParams,
  type HistoryParams,
  type LifecycleListing,
} from "./lifecycle-history";
import type { LifecycleEvent } from "./wire";

/** Events are for customers only. Where the service keeps no history, calls throw NotImplementedError. */
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
   * What the history holds after an event now, oldest first, each once.
   * @throws MachinesError `event_not_found`
   */
  listAfter(
    event: string | Pick<LifecycleEvent, "id" | "occurredAt">,
    params: Omit<AccountHistoryParams, "from" | "order" | "offset"> = {},
    options?: CallOptions,
  ): AsyncGenerator<LifecycleEvent, void> {
    return this.history({ kind: "account" }).after(event, params, options);
  }

  private history(scope: ConstructorParameters<typeof LifecycleHistory>[1]): LifecycleHistory {
    return new LifecycleHistory(this.context.transport, scope);
  }
}
