/** Executions in the store: every reading and writing of their rows, each change with the event that reports it. */
import type { Selectable } from "kysely";
import { type Database, executionFromRow, type Tx } from "../store/store";
import type { ExecutionEventsTable, ExecutionsTable } from "../store/schema";
import type { PageRequest, PageResult } from "./control-plane";
import { pageOf, positionOf } from "./cursor";
import type { ExecExit } from "./driver";
import type { Ending } from "./execution-run";
import { emptyEvent } from "./processes/recorder";
import type { ExecutionRecord } from "./record";

/** How long a finished execution can be read, in milliseconds: a day. */
const keepFinishedMs = 86_400_000;

/** What a command is started with and may hold secrets: kept until it has started, then dropped. */
export interface Launch {
  env: Record<string, string>;
  stdin?: string;
}

/** What a process has and an execution of the Dedalus dialect has not. */
export interface ProcessTraits {
  /** JSON of { cols, rows, sessionId }. */
  terminal: string | null;
  openStdin: boolean;
  display: string | null;
}

/** An execution with what its callers know it by. */
export interface NumberedExecution {
  pid: number;
  /** As its user wrote it. */
  display: string;
  record: ExecutionRecord;
}

/** What every command of a machine gets. */
export interface MachineDefaults {
  env: Record<string, string>;
  cwd: string | null;
}

type Result = Pick<ExecutionsTable, "status"> &
  Partial<Pick<ExecutionsTable, "exit_code" | "signal" | "error_code" | "error_message">>;

export class ExecutionStore {
  constructor(
    private readonly db: Database,
    private readonly now: () => Date,
  ) {}

  /** Answers its number. */
  async insert(
    tx: Tx,
    record: ExecutionRecord,
    launch: Launch | null,
    traits: ProcessTraits = { terminal: null, openStdin: false, display: null },
  ): Promise<number> {
    const { seq } = await tx
      .insertInto("executions")
      .values({
        id: record.id,
        machine_id: record.machineId,
        status: record.status,
        command: JSON.stringify(record.command),
        cwd: record.cwd,
        env_keys: JSON.stringify(record.envKeys),
        timeout_ms: record.timeoutMs,
        created_at: record.createdAt,
        started_at: record.startedAt,
        stdout_bytes: 0,
        stderr_bytes: 0,
        stdout_truncated: 0,
        stderr_truncated: 0,
        launch: launch === null ? null : JSON.stringify(launch),
        terminal: traits.terminal,
        open_stdin: traits.openStdin ? 1 : 0,
        display: traits.display,
      })
      .returning("seq")
      .executeTakeFirstOrThrow();
    await this.report(tx, record.id, 1, { status: record.status });
    return seq;
  }

  /** May hold secrets. */
  async machineDefaults(db: Database | Tx, machineId: string): Promise<MachineDefaults> {
    const row = await db
      .selectFrom("machines")
      .select(["env", "cwd"])
      .where("id", "=", machineId)
      .executeTakeFirst();
    return { env: JSON.parse(row?.env ?? "{}") as Record<string, string>, cwd: row?.cwd ?? null };
  }

  async find(machineId: string, executionId: string): Promise<ExecutionRecord | undefined> {
    const row = await this.db
      .selectFrom("executions")
      .selectAll()
      .where("id", "=", executionId)
      .where("machine_id", "=", machineId)
      .executeTakeFirst();
    return row && executionFromRow(row);
  }

  async page(machineId: string, page: PageRequest): Promise<PageResult<ExecutionRecord>> {
    let query = this.db
      .selectFrom("executions")
      .selectAll()
      .where("machine_id", "=", machineId)
      .orderBy("seq", "desc")
      .limit(page.limit + 1);
    if (page.cursor !== undefined) query = query.where("seq", "<", positionOf(page.cursor));
    return pageOf(await query.execute(), page.limit, executionFromRow);
  }

  /** At most `limit` events after a sequence number. */
  events(executionId: string, after: number, limit: number): Promise<ExecutionEventsTable[]> {
    return this.db
      .selectFrom("execution_events")
      .selectAll()
      .where("execution_id", "=", executionId)
      .where("sequence", ">", after)
      .orderBy("sequence")
      .limit(limit)
      .execute();
  }

  /** Those that wait for their machine, the oldest first. */
  async unstarted(machineId: string): Promise<string[]> {
    const rows = await this.db
      .selectFrom("executions")
      .select("id")
      .where("machine_id", "=", machineId)
      .where("status", "in", ["queued", "wake_in_progress"])
      .orderBy("seq")
      .execute();
    return rows.map((row) => row.id);
  }

  async running(): Promise<NumberedExecution[]> {
    const rows = await this.db.selectFrom("executions").selectAll().where("status", "=", "running").execute();
    return rows.map(numbered);
  }

  /** An execution that has not ended, with what it is to be started with. */
  async toStart(
    executionId: string,
  ): Promise<(NumberedExecution & { launch: Launch; defaults: MachineDefaults }) | undefined> {
    const row = await this.db
      .selectFrom("executions")
      .selectAll()
      .where("id", "=", executionId)
      .where("completed_at", "is", null)
      .executeTakeFirst();
    if (!row) return undefined;
    const launch = JSON.parse(row.launch ?? '{"env":{}}') as Launch;
    return { ...numbered(row), launch, defaults: await this.machineDefaults(this.db, row.machine_id) };
  }

  /** Returns when it started. */
  async started(executionId: string): Promise<string> {
    const startedAt = this.now().toISOString();
    await this.db.transaction().execute(async (tx) => {
      await tx
        .updateTable("executions")
        .set({ status: "running", started_at: startedAt, launch: null })
        .where("id", "=", executionId)
        .execute();
      await this.report(tx, executionId, 2, { status: "running" });
    });
    return startedAt;
  }

  /** The end of a command that ran. */
  async ended(tx: Tx, executionId: string, sequence: number, exit: ExecExit, ending?: Ending): Promise<void> {
    const succeeded = exit.exitCode === 0 && exit.startError === undefined;
    await this.finish(tx, executionId, sequence, {
      status: ending?.status ?? (succeeded ? "succeeded" : "failed"),
      exit_code: exit.exitCode,
      signal: exit.signal,
      ...failureOf(exit, ending),
    });
  }

  /** The end of executions that have no process; those that ended already stay as they are. */
  async endUnstarted(ids: readonly string[], ending: Ending): Promise<void> {
    for (const id of ids) {
      await this.db.transaction().execute(async (tx) => {
        const { last } = await tx
          .selectFrom("execution_events")
          .select((eb) => eb.fn.max("sequence").as("last"))
          .where("execution_id", "=", id)
          .executeTakeFirstOrThrow();
        await this.finish(tx, id, Number(last ?? 0) + 1, { status: ending.status, ...failureWords(ending) });
      });
    }
  }

  /** Removes executions and their events. */
  async remove(tx: Tx, ids: readonly string[]): Promise<void> {
    for (const id of ids) {
      await tx.deleteFrom("execution_events").where("execution_id", "=", id).execute();
      await tx.deleteFrom("executions").where("id", "=", id).execute();
    }
  }

  async removeOfMachine(tx: Tx, machineId: string): Promise<void> {
    const rows = await tx.selectFrom("executions").select("id").where("machine_id", "=", machineId).execute();
    await this.remove(
      tx,
      rows.map((row) => row.id),
    );
  }

  /** Removes those whose time is over, and tells which they were. */
  async removeExpired(): Promise<{ id: string; machineId: string }[]> {
    const rows = await this.db
      .selectFrom("executions")
      .select(["id", "machine_id as machineId"])
      .where("expires_at", "<", this.now().toISOString())
      .execute();
    await this.db.transaction().execute((tx) =>
      this.remove(
        tx,
        rows.map((row) => row.id),
      ),
    );
    return rows;
  }

  private async finish(tx: Tx, executionId: string, sequence: number, result: Result): Promise<void> {
    const at = this.now();
    const { numUpdatedRows } = await tx
      .updateTable("executions")
      .set({
        ...result,
        completed_at: at.toISOString(),
        expires_at: new Date(at.getTime() + keepFinishedMs).toISOString(),
        launch: null,
      })
      .where("id", "=", executionId)
      .where("completed_at", "is", null)
      .executeTakeFirstOrThrow();
    if (numUpdatedRows > 0n) await this.report(tx, executionId, sequence, result);
  }

  private async report(tx: Tx, executionId: string, sequence: number, result: Result): Promise<void> {
    await tx
      .insertInto("execution_events")
      .values({ ...emptyEvent(executionId, sequence, "lifecycle", this.now()), ...result })
      .execute();
  }
}

const numbered = (row: Selectable<ExecutionsTable>): NumberedExecution => ({
  pid: row.seq,
  display: displayOf(row),
  record: executionFromRow(row),
});

/** The command as its user wrote it. */
export const displayOf = (row: Pick<Selectable<ExecutionsTable>, "display" | "command">): string =>
  row.display ?? (JSON.parse(row.command) as string[]).join(" ");

const failureWords = (ending: Ending) =>
  ending.status === "failed"
    ? { error_code: ending.errorCode, error_message: ending.errorMessage }
    : { error_code: null, error_message: null };

function failureOf(exit: ExecExit, ending: Ending | undefined) {
  if (ending) return failureWords(ending);
  if (exit.startError !== undefined)
    return { error_code: "COMMAND_NOT_STARTED", error_message: exit.startError };
  return exit.exitCode === null
    ? { error_code: "EXIT_UNKNOWN", error_message: "how the command ended could not be learned" }
    : { error_code: null, error_message: null };
}
