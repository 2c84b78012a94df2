/** Pages of machines, newest first; each begins where the last one ended, whatever was made meanwhile. */
import { setImmediate as breathe } from "node:timers/promises";
import { type Phase, phases as everyPhase } from "@pulumi-machines/sdk/dedalus/rules";
import type { Selectable } from "kysely";
import type { MachinesTable } from "../store/schema";
import { type Database, machineFromRow } from "../store/store";
import type { MachineFilter, PageRequest, PageResult } from "./control-plane";
import { pageOf, positionOf } from "./cursor";
import { hasPairs } from "./json-match";
import type { MachineRecord } from "./record";

/** Rows read in one go where not every row is wanted. */
const chunk = 200;

type Row = Selectable<MachinesTable>;

export class MachineList {
  constructor(private readonly db: Database) {}

  async page(page: PageRequest, filter: MachineFilter): Promise<PageResult<MachineRecord>> {
    const wanted: Row[] = [];
    // One more than fits tells whether there is a next page.
    const enough = page.limit + 1;
    let before = page.cursor === undefined ? undefined : positionOf(page.cursor);
    for (;;) {
      const size = filter.metadata ? chunk : enough;
      const rows = await this.rows(filter, before, size);
      wanted.push(...rows.filter((row) => matches(row, filter)));
      before = rows.at(-1)?.seq;
      if (wanted.length >= enough || rows.length < size) break;
      await breathe();
    }
    return pageOf(wanted.slice(0, enough), page.limit, machineFromRow);
  }

  private rows(filter: MachineFilter, before: number | undefined, limit: number): Promise<Row[]> {
    const phases = filter.phases ?? everyPhase.filter((phase: Phase) => phase !== "destroyed");
    let query = this.db
      .selectFrom("machines")
      .selectAll()
      .where("phase", "in", phases)
      .orderBy("seq", "desc")
      .limit(limit);
    if (before !== undefined) query = query.where("seq", "<", before);
    if (filter.template !== undefined) query = query.where("template", "=", filter.template);
    return query.execute();
  }
}

const matches = (row: Row, { metadata }: MachineFilter): boolean =>
  !metadata || hasPairs(JSON.parse(row.metadata) as Record<string, unknown>, metadata);
