/** The lifecycle log as history: pages by offset, and everything after an event, oldest first. */
import { z } from "zod";
import { fetchValue, segment } from "../answers";
import type { CallOptions } from "../call";
import { NotFoundError, UsageError } from "../errors";
import type { Transport } from "../http";
import { pagesOf, type Pages } from "../listing";
import type { Open } from "../open";
import { given, machinePath, wholeNumber, withoutKey } from "./calls";
import type { LifecycleOperation, LifecycleStatus } from "./rules";
import { lifecycleEventAnswer, type LifecycleEvent } from "./wire";

/** What every history can be asked for. */
export interface HistoryParams {
  operation?: Open<LifecycleOperation> | undefined;
  status?: Open<LifecycleStatus> | undefined;
  /** ISO 8601, this moment included. */
  from?: string | Date | undefined;
  /** ISO 8601, this moment excluded. */
  to?: string | Date | undefined;
  /** Default `desc`: the newest first. */
  order?: "asc" | "desc" | undefined;
  /** Events to leave out at the start; default 0. */
  offset?: number | undefined;
  /** Events in one page, 1 to 100; the service's default is 50. */
  limit?: number | undefined;
}

export interface AccountHistoryParams extends HistoryParams {
  /** `internal` is refused: the service shows events for customers only. */
  audience?: "customer" | undefined;
  /** The machine that the event is about. */
  machineId?: string | undefined;
  snapshotId?: string | undefined;
  sourceMachineId?: string | undefined;
  targetMachineId?: string | undefined;
}

export interface LifecyclePage {
  events: LifecycleEvent[];
  offset: number;
  limit: number;
  hasMore: boolean;
}

/** Events over all pages, `.pages()`, or `.page()`. Events that new ones push to a later page come once all the same. */
export type LifecycleListing = Pages<LifecycleEvent, LifecyclePage>;

/** Whose history. */
export type HistoryScope =
  { kind: "account" } | { kind: "machine"; machineId: string } | { kind: "snapshot"; snapshotId: string };

const pageAnswer = z
  .looseObject({
    events: z.array(lifecycleEventAnswer),
    offset: z.number().nullish(),
    limit: z.number().nullish(),
    has_more: z.boolean().nullish(),
  })
  .transform((wire): LifecyclePage => ({
    events: wire.events,
    offset: wire.offset ?? 0,
    limit: wire.limit ?? wire.events.length,
    hasMore: wire.has_more ?? false,
  }));

export class LifecycleHistory {
  constructor(
    private readonly transport: Transport,
    private readonly scope: HistoryScope,
  ) {}

  /** @throws UsageError `invalid_argument` */
  list(params: AccountHistoryParams, options?: CallOptions): LifecycleListing {
    refuseInternal(params.audience);
    return pagesOf<LifecycleEvent, LifecyclePage, number>({
      first: params.offset,
      items: (page) => page.events,
      idOf: (event) => event.id,
      // What was sent counts, not what was asked for: a service may clamp the limit.
      next: (page, offset) =>
        page.hasMore && page.events.length > 0 ? (offset ?? 0) + page.events.length : undefined,
      fetch: (offset) => this.fetch({ ...params, offset }, options),
    });
  }

  /**
   * Everything after an event that is there now, oldest first, each event once, whatever is added or expires meanwhile.
   * @param event its id alone makes the history be searched from its newest end for the time of it
   * @throws NotFoundError `event_not_found`: it is no longer in the history, so that a gap could not be told
   */
  async *after(
    event: string | Pick<LifecycleEvent, "id" | "occurredAt">,
    params: Omit<AccountHistoryParams, "from" | "order" | "offset"> = {},
    options?: CallOptions,
  ): AsyncGenerator<LifecycleEvent, void> {
    refuseInternal(params.audience);
    const { id, occurredAt } = typeof event === "string" ? await this.find(event, options) : event;
    const seen = await this.upTo(id, occurredAt, options);
    let from = occurredAt;
    let offset = 0;
    for (;;) {
      const page = await this.fetch({ limit: 100, ...given(params), from, order: "asc", offset }, options);
      for (const each of page.events) {
        if (seen.has(each.id)) continue;
        seen.add(each.id);
        yield each;
      }
      const last = page.events.at(-1);
      if (!page.hasMore || last === undefined) return;
      // The next page begins at the time where this one ended: an offset would slip when old events expire.
      if (last.occurredAt === from) offset += page.events.length;
      else {
        from = last.occurredAt;
        offset = 0;
        seen.clear();
        for (const each of page.events) if (each.occurredAt === from) seen.add(each.id);
      }
    }
  }

  private async find(id: string, options?: CallOptions): Promise<LifecycleEvent> {
    for await (const event of this.list({ limit: 100 }, options)) if (event.id === id) return event;
    throw notFound(id);
  }

  /** Ids of this event and of those of the same moment that came before it. */
  private async upTo(id: string, occurredAt: string, options?: CallOptions): Promise<Set<string>> {
    const at = Date.parse(occurredAt);
    if (Number.isNaN(at)) {
      throw new UsageError({
        message: `read the events after ${id}: its time ${JSON.stringify(occurredAt)} is no ISO 8601 time`,
        code: "invalid_argument",
      });
    }
    const ids = new Set<string>();
    const moment = {
      from: occurredAt,
      to: new Date(at + 1).toISOString(),
      order: "asc",
      limit: 100,
    } as const;
    for await (const event of this.list(moment, options)) {
      ids.add(event.id);
      if (event.id === id) return ids;
    }
    throw notFound(id);
  }

  private async fetch(params: AccountHistoryParams, options?: CallOptions): Promise<LifecyclePage> {
    const { what, path } = place(this.scope);
    const { value } = await fetchValue(this.transport, pageAnswer, {
      what,
      ...(this.scope.kind === "machine" ? { machineId: this.scope.machineId } : {}),
      method: "GET",
      path,
      query: {
        offset: wholeOrNone("offset", params.offset, 0, Number.MAX_SAFE_INTEGER),
        limit: wholeOrNone("limit", params.limit, 1, 100),
        order: params.order ?? "desc",
        operation: params.operation,
        status: params.status,
        from: instant(params.from),
        to: instant(params.to),
        audience: params.audience,
        machine_id: params.machineId,
        snapshot_id: params.snapshotId,
        source_machine_id: params.sourceMachineId,
        target_machine_id: params.targetMachineId,
      },
      options: withoutKey(options),
    });
    return value;
  }
}

function place(scope: HistoryScope): { what: string; path: string } {
  switch (scope.kind) {
    case "account":
      return { what: "read the lifecycle history", path: "/v1/lifecycle/events" };
    case "machine":
      return {
        what: `read the lifecycle history of machine ${scope.machineId}`,
        path: machinePath(scope.machineId, "/lifecycle"),
      };
    case "snapshot":
      return {
        what: `read the lifecycle history of snapshot ${scope.snapshotId}`,
        path: `/v1/snapshots/${segment("snapshot id", scope.snapshotId)}/lifecycle`,
      };
  }
}

const notFound = (id: string): NotFoundError =>
  new NotFoundError({
    message:
      `read the events after ${id}: that event is not in the history, so that a gap after it could not be told. ` +
      "Read the history from a time instead (from), or all of it.",
    code: "event_not_found",
  });

/** @throws UsageError `invalid_argument` */
export function refuseInternal(audience: string | undefined): void {
  if (audience === undefined || audience === "customer") return;
  throw new UsageError({
    message: `lifecycle events: the audience ${JSON.stringify(audience)} is not served; leave it out or give "customer"`,
    code: "invalid_argument",
  });
}

const instant = (time: string | Date | undefined): string | undefined =>
  time instanceof Date ? time.toISOString() : time;

const wholeOrNone = (
  name: string,
  value: number | undefined,
  min: number,
  max: number,
): number | undefined =>
  value === undefined ? undefined : wholeNumber(`lifecycle history: ${name}`, value, min, max);
