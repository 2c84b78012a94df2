/** Processes in the store: executions, as their callers by number see them. */
import type { Selectable } from "kysely";
import type { ExecutionsTable } from "../../store/schema";
import type { Database } from "../../store/store";
import { displayOf } from "../execution-store";
import type { TerminalSize } from "../driver";
import type { OutputStream, ProcessRecord } from "./api";
import type { Position } from "./recorder";

/** Ended processes that a list shows at most; those that run are all shown. */
const listedEnded = 500;

/** A piece of output: bytes [from, to) of its stream. */
export interface OutputPiece {
  stream: OutputStream;
  from: number;
  to: number;
}

export class ProcessStore {
  constructor(
    private readonly db: Database,
    private readonly now: () => Date,
  ) {}

  async find(machineId: string, pid: number): Promise<ProcessRecord | undefined> {
    if (!Number.isSafeInteger(pid)) return undefined;
    const row = await this.db
      .selectFrom("executions")
      .selectAll()
      .where("seq", "=", pid)
      .where("machine_id", "=", machineId)
      .executeTakeFirst();
    return row && processFromRow(row);
  }

  async findSession(machineId: string, sessionId: string): Promise<ProcessRecord | undefined> {
    const row = await this.db
      .selectFrom("executions")
      .selectAll()
      .where("id", "=", executionOfSession(sessionId))
      .where("machine_id", "=", machineId)
      .where("terminal", "is not", null)
      .executeTakeFirst();
    return row && processFromRow(row);
  }

  /** Newest first. */
  async list(machineId: string): Promise<ProcessRecord[]> {
    const ofMachine = this.db.selectFrom("executions").selectAll().where("machine_id", "=", machineId);
    const running = await ofMachine.where("completed_at", "is", null).execute();
    const ended = await ofMachine
      .where("completed_at", "is not", null)
      .where("expires_at", ">=", this.now().toISOString())
      .orderBy("seq", "desc")
      .limit(listedEnded)
      .execute();
    const rows = new Map([...running, ...ended].map((row) => [row.seq, row]));
    return [...rows.values()].sort((a, b) => b.seq - a.seq).map(processFromRow);
  }

  async setTerminalSize(executionId: string, { cols, rows }: TerminalSize): Promise<void> {
    const terminal = JSON.stringify({ cols, rows, sessionId: sessionOf(executionId) });
    await this.db.updateTable("executions").set({ terminal }).where("id", "=", executionId).execute();
  }

  /** The first byte of each stream that can still be read, of a command that has ended. */
  async keptFrom(executionId: string): Promise<Position> {
    const rows = await this.db
      .selectFrom("execution_events")
      .select((eb) => ["type", eb.fn.min("from_byte").as("from")])
      .where("execution_id", "=", executionId)
      .where("type", "!=", "lifecycle")
      .groupBy("type")
      .execute();
    const of = (stream: OutputStream) => Number(rows.find((row) => row.type === stream)?.from ?? 0);
    return { stdout: of("stdout"), stderr: of("stderr") };
  }

  /** What is kept of the output, in the order in which it was read. */
  async pieces(executionId: string): Promise<OutputPiece[]> {
    const rows = await this.db
      .selectFrom("execution_events")
      .select(["type", "from_byte", "to_byte"])
      .where("execution_id", "=", executionId)
      .where("type", "!=", "lifecycle")
      .orderBy("sequence")
      .execute();
    return rows.map(({ type, from_byte, to_byte }) => ({
      stream: type as OutputStream,
      from: from_byte ?? 0,
      to: to_byte ?? 0,
    }));
  }
}

/** A terminal's session id: the execution's under another name, so that one is found by the other. */
export const sessionOf = (executionId: string): string => `pty_${executionId.replace(/^exec_/, "")}`;
const executionOfSession = (sessionId: string): string => `exec_${sessionId.replace(/^pty_/, "")}`;

const processFromRow = (row: Selectable<ExecutionsTable>): ProcessRecord => ({
  pid: row.seq,
  executionId: row.id,
  machineId: row.machine_id,
  command: displayOf(row),
  running: row.completed_at === null,
  exitCode: row.exit_code,
  errorCode: row.error_code,
  errorMessage: row.error_message,
  stdoutBytes: row.stdout_bytes,
  stderrBytes: row.stderr_bytes,
  terminal: row.terminal === null ? null : (JSON.parse(row.terminal) as ProcessRecord["terminal"]),
});
