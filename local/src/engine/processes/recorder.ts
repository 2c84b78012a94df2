/**
 * Notes in the store, in batches, which bytes of a command's output came when, and drops the oldest. The bytes
 * themselves stay in the files that the command writes.
 */
import type { ExecutionEventsTable } from "../../store/schema";
import type { Database, Tx } from "../../store/store";
import type { RunningExec } from "../driver";
import { punchSpool } from "../drivers/exec-spool";
import { pieces } from "../output";
import type { OutputStream } from "./api";

/** Bytes of each stream that are kept: the newest 8 MiB. */
export const keepOutputBytes = 8 * 1_048_576;
/** Bytes of each stream that are kept at most while a reader has yet to read them: 256 MiB. */
export const holdOutputBytes = 256 * 1_048_576;
/** Output shows in the pages of events within this time; where the store is slow, within the longer one. */
const flushEveryMs = 250;
const flushAtLatestMs = 2_000;
/** Of our time storing takes at most one part in so many. */
const flushShare = 20;
/** Output that comes in many small writes is read together, this long after the first. */
const gatherMs = 25;
/** Each drop runs a program: with much output there is one in this time, or for this many bytes. */
const dropEveryMs = 1_000;
const manyBytes = 8 * keepOutputBytes;
/** The same where a reader is so slow that it loses them. */
const manyLostBytes = 2 * keepOutputBytes;
/** So that neither stream waits for the other while both flow. */
const piecesATurn = 64;
/** Rows of one statement: few sizes, so that the statements stay prepared. */
const rowsAStatement = [128, 16, 1];

export const outputStreams = ["stdout", "stderr"] as const satisfies readonly OutputStream[];
/** A byte of each stream, counted from the command's start. */
export type Position = Record<OutputStream, number>;

export interface RecorderOptions {
  db: Database;
  executionId: string;
  exec: Pick<RunningExec, "stdoutPath" | "stderrPath">;
  now: () => Date;
  report: (message: string, error?: unknown) => void;
}

/** While it is held, what comes after `at` is not dropped, up to a bound. */
export interface Hold {
  at: Position;
  /** `afterMs` gives a reader that was cut the time to come back; default 0. */
  release(afterMs?: number): void;
}

export class OutputRecorder {
  /** What was read of each stream so far. */
  readonly end: Position = { stdout: 0, stderr: 0 };
  /** The first byte of each stream that can still be read. */
  readonly kept: Position = { stdout: 0, stderr: 0 };
  private sequence = 0;
  private pending: ExecutionEventsTable[] = [];
  private readonly holds = new Set<Hold>();
  private readonly releases = new Map<Hold, NodeJS.Timeout>();
  private pumping: Promise<void> | undefined;
  private again = false;
  private flushNow = false;
  private flushedAt = -Infinity;
  private flushAgainMs = flushEveryMs;
  private droppedAt = -Infinity;
  private timer: NodeJS.Timeout | undefined;
  private gathering: NodeJS.Timeout | undefined;
  private state: "follows" | "finishing" | "finished" | "closed" = "follows";
  private idle: () => void = () => undefined;
  private noPunch = false;

  constructor(private readonly options: RecorderOptions) {}

  /** Goes on after what is stored already. */
  async open(): Promise<void> {
    const { db, executionId } = this.options;
    const rows = await db
      .selectFrom("execution_events")
      .select((eb) => [
        "type",
        eb.fn.max("to_byte").as("to"),
        eb.fn.min("from_byte").as("from"),
        eb.fn.max("sequence").as("sequence"),
      ])
      .where("execution_id", "=", executionId)
      .groupBy("type")
      .execute();
    for (const row of rows) {
      this.sequence = Math.max(this.sequence, Number(row.sequence));
      if (row.type === "lifecycle") continue;
      this.end[row.type] = Number(row.to ?? 0);
      this.kept[row.type] = Number(row.from ?? 0);
    }
  }

  nextSequence(): number {
    return ++this.sequence;
  }

  /** Something has come: reads it in a moment, together with what comes until then. */
  gather(): void {
    if (this.state !== "follows") return;
    this.gathering ??= setTimeout(() => this.pump(), gatherMs).unref();
  }

  /** Reads what has come, one reading at a time. */
  pump(): void {
    clearTimeout(this.gathering);
    this.gathering = undefined;
    if (this.state === "closed" || this.state === "finishing") return;
    this.again = true;
    this.pumping ??= this.turns()
      .catch((error: unknown) => {
        const { executionId, report } = this.options;
        report(`execution ${executionId}: could not record its output`, error);
        this.again = false; // what waits is tried again in a while
        this.flushedAt = performance.now();
      })
      .finally(() => {
        this.pumping = undefined;
        if (this.again) this.pump();
        else if (this.pending.length > 0 && this.state === "follows") this.pumpLater();
      });
  }

  /** Resolves when all that has been written so far is in the store. */
  async settle(): Promise<void> {
    if (this.state !== "follows") return;
    this.flushNow = true;
    this.pump();
    await this.pumping;
  }

  /** Reads to the end of a command that has ended. What is left to store goes with `write`. */
  async finish(): Promise<void> {
    this.state = "finishing";
    clearTimeout(this.timer);
    clearTimeout(this.gathering);
    await this.pumping;
    await this.read(true);
  }

  /** Stores what waits, in the caller's transaction. */
  async write(tx: Tx): Promise<void> {
    const { executionId } = this.options;
    let at = 0;
    for (const size of rowsAStatement) {
      for (; at + size <= this.pending.length; at += size) {
        const rows = this.pending.slice(at, at + size);
        await tx.insertInto("execution_events").values(rows).execute();
      }
    }
    await tx
      .updateTable("executions")
      .set({ stdout_bytes: this.end.stdout, stderr_bytes: this.end.stderr })
      .where("id", "=", executionId)
      .execute();
  }

  /** Keeps what comes after `at` for a reader. */
  hold(at: Position): Hold {
    const hold: Hold = {
      at: { ...at },
      release: (afterMs = 0) => {
        const release = (): void => {
          this.releases.delete(hold);
          if (!this.holds.delete(hold)) return;
          if (this.state === "finished") this.pump();
          this.idle();
        };
        clearTimeout(this.releases.get(hold));
        if (afterMs <= 0 || this.state === "closed") release();
        else if (this.holds.has(hold)) this.releases.set(hold, setTimeout(release, afterMs).unref());
      },
    };
    this.holds.add(hold);
    return hold;
  }

  /** Resolves when the command has ended and nobody reads any more. */
  async untilIdle(): Promise<void> {
    while (this.state !== "closed" && (this.state !== "finished" || this.holds.size > 0)) {
      await new Promise<void>((resolve) => (this.idle = resolve));
    }
    await this.pumping;
  }

  /** After `finish`, when its last rows are stored. */
  finished(): void {
    this.state = "finished";
    this.pending = [];
    this.pump();
    this.idle();
  }

  async close(): Promise<void> {
    this.state = "closed";
    clearTimeout(this.timer);
    clearTimeout(this.gathering);
    for (const timer of this.releases.values()) clearTimeout(timer);
    await this.pumping;
    this.idle();
  }

  private async turns(): Promise<void> {
    while (this.again && this.state !== "closed") {
      this.again = false;
      if (this.state === "follows") await this.read(false);
      for (const name of outputStreams) await this.drop(name);
      if (!this.flushNow || this.again) await this.flushIfDue();
      else {
        this.flushNow = false;
        await this.flush();
      }
    }
  }

  private pumpLater(): void {
    clearTimeout(this.timer);
    const waitMs = Math.max(this.flushedAt + this.flushAgainMs - performance.now(), 0);
    this.timer = setTimeout(() => this.pump(), waitMs).unref();
  }

  private async read(ended: boolean): Promise<void> {
    const { exec, executionId, now } = this.options;
    for (const name of outputStreams) {
      let count = 0;
      for await (const piece of pieces(pathOf(exec, name), this.end[name], ended)) {
        this.pending.push({
          ...emptyEvent(executionId, ++this.sequence, name, now()),
          from_byte: piece.from,
          to_byte: piece.to,
        });
        this.end[name] = piece.to;
        await this.drop(name);
        if (ended) continue;
        await this.flushIfDue();
        if (++count < piecesATurn) continue;
        this.again = true;
        break;
      }
    }
  }

  private async flushIfDue(): Promise<void> {
    if (performance.now() - this.flushedAt >= this.flushAgainMs) await this.flush();
  }

  private async flush(): Promise<void> {
    if (this.pending.length === 0) return;
    const begun = performance.now();
    await this.options.db.transaction().execute((tx) => this.write(tx));
    this.written();
    const rest = flushShare * (this.flushedAt - begun);
    this.flushAgainMs = Math.min(Math.max(rest, flushEveryMs), flushAtLatestMs);
  }

  private written(): void {
    this.pending = [];
    this.flushedAt = performance.now();
  }

  /** Drops the oldest output, and the events that point to it. */
  private async drop(name: OutputStream): Promise<void> {
    const { db, executionId, exec } = this.options;
    const end = this.end[name];
    const unread = [...this.holds].map((hold) => hold.at[name]);
    const notNeeded = Math.min(end - keepOutputBytes, ...unread);
    const before = Math.max(end - holdOutputBytes, notNeeded);
    const often = this.state === "follows" && performance.now() - this.droppedAt < dropEveryMs;
    const least = !often ? keepOutputBytes / 4 : before > notNeeded ? manyLostBytes : manyBytes;
    if (before - this.kept[name] <= least) return;
    this.droppedAt = performance.now();
    const rest = await db.transaction().execute(async (tx) => {
      await this.write(tx);
      const events = tx
        .deleteFrom("execution_events")
        .where("execution_id", "=", executionId)
        .where("type", "=", name)
        .where("to_byte", "<=", before);
      await events.execute();
      await tx
        .updateTable("executions")
        .set(name === "stdout" ? { stdout_truncated: 1 } : { stderr_truncated: 1 })
        .where("id", "=", executionId)
        .execute();
      return tx
        .selectFrom("execution_events")
        .select((eb) => eb.fn.min("from_byte").as("from"))
        .where("execution_id", "=", executionId)
        .where("type", "=", name)
        .executeTakeFirst();
    });
    this.written();
    // Before the bytes go: a reader looks here after it has read.
    this.kept[name] = Number(rest?.from ?? end);
    if (this.noPunch) return;
    // More disk is used where the system cannot give space back; what is kept is the same.
    this.noPunch = !(await punchSpool(pathOf(exec, name), this.kept[name]));
  }
}

export const pathOf = (exec: Pick<RunningExec, "stdoutPath" | "stderrPath">, name: OutputStream): string =>
  name === "stdout" ? exec.stdoutPath : exec.stderrPath;

/** A row of the event table with nothing in it but its place. */
export const emptyEvent = (
  executionId: string,
  sequence: number,
  type: "lifecycle" | OutputStream,
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
