/**
 * Reading the lifecycle log by SQL. `seq` has no gaps and increases with `occurred_at`, so that a span of time is a span of
 * numbers, and a page of everything is found by counting.
 */
import { type RawBuilder, type Selectable, sql } from "kysely";
import { eventFromRow } from "../store/event-rows";
import type { LifecycleEventsTable } from "../store/schema";
import type { Database } from "../store/store";
import { type EventFilter, Refusal } from "./control-plane";
import { machineIn } from "./event-filter";
import type { LifecycleEventRecord } from "./record";

export type Order = "asc" | "desc";

/** Numbers of events, both inclusive. */
export interface Span {
  first: number;
  last: number;
}

type Row = Selectable<LifecycleEventsTable>;

export class EventStore {
  /** The numbers of the log's ends; its writer keeps them up to date, so that no page asks for them. */
  oldest = 1;
  newest = 0;

  constructor(private readonly db: Database) {}

  /** Call it before anything else. */
  async open(): Promise<void> {
    const [first, last] = await Promise.all([this.end("asc"), this.end("desc")]);
    this.oldest = first?.seq ?? 1;
    this.newest = last?.seq ?? 0;
  }

  /** @throws Refusal event_not_found */
  async get(id: string): Promise<LifecycleEventRecord> {
    const row = await this.db
      .selectFrom("lifecycle_events")
      .selectAll()
      .where("id", "=", id)
      .executeTakeFirst();
    if (row) return eventFromRow(row);
    throw new Refusal("event_not_found", `event ${id} is not in the lifecycle log (any more)`);
  }

  /** The events of a span of time; undefined when there are none. @throws Refusal invalid_argument */
  async span({ from, to }: EventFilter): Promise<Span | undefined> {
    const [first, last] = await Promise.all([
      from === undefined ? this.oldest : this.near("asc", from),
      to === undefined ? this.newest : this.near("desc", to),
    ]);
    return first !== undefined && last !== undefined && first <= last ? { first, last } : undefined;
  }

  /** Those of a span that match, apart from the filter's times and metadata. */
  async select(
    filter: EventFilter,
    span: Span,
    page: { offset: number; limit: number; order: Order },
  ): Promise<LifecycleEventRecord[]> {
    const { rows } = await sql<Row>`
      select e.* from lifecycle_events e
      join (${this.numbers(filter, span, page)}) page on page.seq = e.seq
      order by e.seq ${directions[page.order]}`.execute(this.db);
    return rows.map(eventFromRow);
  }

  /** The number of the nth match, from 0; undefined when there are fewer. */
  async nth(filter: EventFilter, span: Span, order: Order, n: number): Promise<number | undefined> {
    const page = { offset: n, limit: 1, order };
    const { rows } = await this.numbers(filter, span, page).execute(this.db);
    return rows[0]?.seq;
  }

  /** Numbers alone, which an index holds for the usual filters, so that a deep offset reads no rows. */
  private numbers(
    filter: EventFilter,
    span: Span,
    { offset, limit, order }: { offset: number; limit: number; order: Order },
  ): RawBuilder<{ seq: number }> {
    const machine = machineIn(filter);
    const conditions = conditionsOf(filter);
    if (machine === undefined && conditions.length === 0 && offset > 0) {
      const { first, last } =
        order === "asc"
          ? { first: span.first + offset, last: Math.min(span.last, span.first + offset + limit - 1) }
          : { first: Math.max(span.first, span.last - offset - limit + 1), last: span.last - offset };
      return sql`select seq from lifecycle_events where seq >= ${first} and seq <= ${last}`;
    }
    const page = sql`order by seq ${directions[order]} limit ${limit} offset ${offset}`;
    if (machine === undefined) {
      return sql`select e.seq as seq from lifecycle_events e
        where ${all([...conditions, ...within(sql.ref("e.seq"), span)])} ${page}`;
    }
    const ofMachine = [sql<boolean>`m.machine_id = ${machine}`, ...within(sql.ref("m.seq"), span)];
    if (conditions.length === 0) {
      return sql`select m.seq as seq from lifecycle_machines m where ${all(ofMachine)} ${page}`;
    }
    return sql`select m.seq as seq from lifecycle_machines m join lifecycle_events e on e.seq = m.seq
      where ${all([...ofMachine, ...conditions])} ${page}`;
  }

  private end(order: Order) {
    return this.db
      .selectFrom("lifecycle_events")
      .select("seq")
      .orderBy("seq", order)
      .limit(1)
      .executeTakeFirst();
  }

  /** The first event at or after a time, or the last one before it. */
  private async near(order: Order, time: string): Promise<number | undefined> {
    const row = await this.db
      .selectFrom("lifecycle_events")
      .select("seq")
      .where("occurred_at", order === "asc" ? ">=" : "<", stored(time))
      .orderBy("occurred_at", order)
      .orderBy("seq", order)
      .limit(1)
      .executeTakeFirst();
    return row?.seq;
  }
}

const directions = { asc: sql`asc`, desc: sql`desc` } as const;

const all = (conditions: RawBuilder<boolean>[]): RawBuilder<boolean> => sql.join(conditions, sql` and `);

const within = (seq: RawBuilder<unknown>, { first, last }: Span): RawBuilder<boolean>[] => [
  sql`${seq} >= ${first}`,
  sql`${seq} <= ${last}`,
];

/** What the table of events itself has to say; `machineId` alone is answered by the table of machines. */
function conditionsOf(filter: EventFilter): RawBuilder<boolean>[] {
  const wanted = {
    operation: filter.operation,
    status: filter.status,
    machine_id: filter.primaryMachineId,
    snapshot_id: filter.snapshotId,
    source_machine_id: filter.sourceMachineId,
    target_machine_id: filter.targetMachineId,
  };
  return Object.entries(wanted)
    .filter(([, value]) => value !== undefined)
    .map(([column, value]) => sql<boolean>`${sql.ref(`e.${column}`)} = ${value}`);
}

/** @throws Refusal invalid_argument */
function stored(time: string): string {
  const at = new Date(time);
  if (!Number.isNaN(at.getTime())) return at.toISOString();
  throw new Refusal("invalid_argument", `"${time}" is no time: write it as 2026-01-31T12:00:00Z`);
}
