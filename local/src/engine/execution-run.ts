/**
 * One running command: follows its output files and its end, and writes both to the store as they come. The command
 * itself needs nobody: a control plane that was killed finds it again and goes on where the store ends.
 */
import { type FSWatcher, watch } from "node:fs";
import type { ExecutionEventsTable } from "../store/schema";
import type { Database, Tx } from "../store/store";
import type { ExecExit, RunningExec } from "./driver";
import { trimSpool } from "./drivers/exec-spool";
import { pieces } from "./output";

export interface RunOptions {
  db: Database;
  executionId: string;
  exec: RunningExec;
  now: () => Date;
  report: (message: string, error?: unknown) => void;
  /** Bytes of each stream that are kept; what is older is dropped. */
  keepBytes: number;
  /** Milliseconds that the command may still take; null is no limit. */
  timeoutMs: number | null;
}

const streams = ["stdout", "stderr"] as const;
type StreamName = (typeof streams)[number];

/** Why the command was ended by us, where it was. */
export type Ending = { status: "cancelled" } | { status: "failed"; errorCode: string; errorMessage: string };

export class ExecutionRun {
  /** Resolves when the end of the command is in the store; never rejects. */
  readonly finished: Promise<void>;
  private ending: Ending | undefined;
  private readonly offsets: Record<StreamName, number> = { stdout: 0, stderr: 0 };
  private readonly kept: Record<StreamName, number> = { stdout: 0, stderr: 0 };
  private sequence = 0;
  private pumping: Promise<void> | undefined;
  private again = false;
  private readonly watchers: FSWatcher[] = [];
  private timer: NodeJS.Timeout | undefined;
  private closed = false;

  constructor(
    private readonly options: RunOptions,
    private readonly complete: (tx: Tx, exit: ExecExit, ending: Ending | undefined) => Promise<void>,
  ) {
    this.finished = this.follow().catch((error: unknown) => {
      options.report(`execution ${options.executionId}: could not record its end`, error);
    });
  }

  /** Ends the command; the first reason given is the one that is recorded. */
  async end(ending: Ending): Promise<void> {
    this.ending ??= ending;
    await this.options.exec.kill("SIGKILL");
  }

  /** Names the reason for an end that somebody else brings about, such as the stop of the machine. */
  expectEnd(ending: Ending): void {
    this.ending ??= ending;
  }

  /** Stops following; the command goes on. */
  async close(): Promise<void> {
    this.closed = true;
    this.unwatch();
    await this.pumping;
  }

  private async follow(): Promise<void> {
    const { exec, timeoutMs } = this.options;
    await this.position();
    for (const name of streams) this.watchFile(name === "stdout" ? exec.stdoutPath : exec.stderrPath);
    if (timeoutMs !== null) {
      this.timer = setTimeout(
        () => {
          void this.end({
            status: "failed",
            errorCode: "EXECUTION_TIMEOUT",
            errorMessage: "the command did not end within its timeout_ms and was killed",
          });
        },
        Math.max(timeoutMs, 0),
      );
    }
    this.pump();
    const exit = await exec.exited;
    if (this.closed) return;
    this.unwatch();
    await this.pumping;
    await this.readOutput(true);
    await this.options.db.transaction().execute((tx) => this.complete(tx, exit, this.ending));
  }

  /** Goes on after what is stored already. */
  private async position(): Promise<void> {
    const rows = await this.options.db
      .selectFrom("execution_events")
      .select((eb) => ["type", eb.fn.max("to_byte").as("to"), eb.fn.max("sequence").as("sequence")])
      .where("execution_id", "=", this.options.executionId)
      .groupBy("type")
      .execute();
    for (const row of rows) {
      this.sequence = Math.max(this.sequence, Number(row.sequence));
      if (row.type !== "lifecycle") this.offsets[row.type] = Number(row.to ?? 0);
    }
  }

  private watchFile(path: string): void {
    try {
      const watcher = watch(path, { persistent: false }, () => {
        this.pump();
      });
      watcher.on("error", () => undefined);
      this.watchers.push(watcher);
    } catch (error) {
      this.options.report(
        `execution ${this.options.executionId}: its output appears only when it ends`,
        error,
      );
    }
  }

  private unwatch(): void {
    clearTimeout(this.timer);
    for (const watcher of this.watchers.splice(0)) watcher.close();
  }

  /** Reads what has come, one reading at a time. */
  private pump(): void {
    this.again = true;
    this.pumping ??= (async () => {
      while (this.again && !this.closed) {
        this.again = false;
        await this.readOutput(false);
      }
    })()
      .catch((error: unknown) => {
        this.options.report(`execution ${this.options.executionId}: could not read its output`, error);
      })
      .finally(() => {
        this.pumping = undefined;
      });
  }

  private async readOutput(ended: boolean): Promise<void> {
    const { exec, db, executionId, keepBytes } = this.options;
    for (const name of streams) {
      const path = name === "stdout" ? exec.stdoutPath : exec.stderrPath;
      for await (const piece of pieces(path, this.offsets[name], ended)) {
        await db.transaction().execute(async (tx) => {
          await tx
            .insertInto("execution_events")
            .values({
              ...emptyEvent(executionId, ++this.sequence, name, this.options.now()),
              from_byte: piece.from,
              to_byte: piece.to,
            })
            .execute();
          await tx
            .updateTable("executions")
            .set(name === "stdout" ? { stdout_bytes: piece.to } : { stderr_bytes: piece.to })
            .where("id", "=", executionId)
            .execute();
        });
        this.offsets[name] = piece.to;
        // In steps of a quarter, so that not each piece costs a call to the system.
        if (piece.to - this.kept[name] > keepBytes * 1.25) await this.trim(name, path);
      }
    }
  }

  /** Drops the oldest output, and the events that pointed to it. */
  private async trim(name: StreamName, path: string): Promise<void> {
    const { db, executionId, keepBytes } = this.options;
    const keptFrom = await trimSpool(path, keepBytes);
    // Where the file system cannot give space back, everything stays readable, and asking again is of no use.
    this.kept[name] = keptFrom === 0 ? Infinity : keptFrom;
    if (keptFrom === 0) return;
    await db.transaction().execute(async (tx) => {
      await tx
        .deleteFrom("execution_events")
        .where("execution_id", "=", executionId)
        .where("type", "=", name)
        .where("from_byte", "<", keptFrom)
        .execute();
      await tx
        .updateTable("executions")
        .set(name === "stdout" ? { stdout_truncated: 1 } : { stderr_truncated: 1 })
        .where("id", "=", executionId)
        .execute();
    });
  }

  nextSequence(): number {
    return ++this.sequence;
  }
}

/** A row of the event table with nothing in it but its place. */
export const emptyEvent = (
  executionId: string,
  sequence: number,
  type: "lifecycle" | StreamName,
  at: Date,
): ExecutionEventsTable => ({
  execution_id: executionId,
  sequence,
  type,
  at: at.toISOString(),
  from_byte: null,
  to_byte: null,
  status: null,
  exit_code: null,
  signal: null,
  error_code: null,
  error_message: null,
});
