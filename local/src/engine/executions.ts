/**
 * Commands in machines: accepted into the store, started when their machine runs (which wakes it first if need be),
 * followed to their end, found again after a restart.
 */
import { can } from "@pulumi-machines/sdk/dedalus/rules";
import { type Database, executionFromRow, type Tx } from "../store/store";
import type {
  Executions as ExecutionsApi,
  IdempotentRequest,
  NewExecution,
  PageRequest,
  PageResult,
  Render,
  StoredAnswer,
} from "./control-plane";
import { Refusal } from "./control-plane";
import { decodeCursor, encodeCursor } from "./cursor";
import type { Driver, ExecExit, ExecSpec, RunningExec } from "./driver";
import { emptyEvent, type Ending, ExecutionRun } from "./execution-run";
import type { Idempotency } from "./idempotency";
import { newId } from "./id";
import { desire, invalidState } from "./machine";
import { textBetween } from "./output";
import type { ExecutionHooks, MachineActor } from "./reconciler";
import type { ExecutionEventRecord, ExecutionRecord, MachineRecord } from "./record";

/** How long a finished execution can be read, in milliseconds: a day. */
const keepFinishedMs = 86_400_000;
/** Bytes of each stream that are kept: the newest 8 MiB. */
export const keepOutputBytes = 8 * 1_048_576;
/** When to ask again about an execution whose machine wakes. */
export const wakeRetryMs = 250;

interface Launch {
  env: Record<string, string>;
  stdin?: string;
}

export interface ExecutionsHost {
  readonly db: Database;
  readonly driver: Driver;
  readonly idempotency: Idempotency;
  readonly now: () => Date;
  readonly report: (message: string, error?: unknown) => void;
  readonly actor: (machineId: string) => Promise<MachineActor>;
}

export class Executions implements ExecutionsApi, ExecutionHooks {
  /** Running commands by machine and id. */
  private readonly runs = new Map<string, Map<string, ExecutionRun>>();
  private readonly launching = new Map<string, Promise<void>>();
  /** Machines in which a command is being started just now. */
  private readonly starting = new Set<string>();
  private closed = false;

  constructor(private readonly host: ExecutionsHost) {}

  // ------------------------------------------------------------- what the dialects ask

  async create(
    machineId: string,
    spec: NewExecution,
    request: IdempotentRequest,
    render: Render<ExecutionRecord>,
  ): Promise<StoredAnswer> {
    const actor = await this.host.actor(machineId);
    return this.host.idempotency.once(request, (store) =>
      actor.exclusive(async () => {
        const machine = await actor.load();
        if (!can("execute", machine.phase)) throw invalidState(machine, "running");
        const at = this.host.now().toISOString();
        const woken =
          machine.phase === "running" ? machine : desire(machine, "running", "woken by an execution", at);
        const execution = newExecution(machine.id, spec, asleep(machine) ? "wake_in_progress" : "queued", at);
        const answer = render(execution, true);
        const write = async (tx: Tx) => {
          await insertExecution(tx, execution, {
            env: spec.env,
            ...(spec.stdin === undefined ? {} : { stdin: spec.stdin }),
          });
          await actor.touch(tx);
          await store(tx, answer);
        };
        if (woken === machine) {
          await this.host.db.transaction().execute(write);
          actor.poke();
        } else {
          await actor.commit(woken, write);
        }
        return answer;
      }),
    );
  }

  async get(machineId: string, executionId: string): Promise<ExecutionRecord> {
    await this.requireMachine(machineId);
    const row = await this.host.db
      .selectFrom("executions")
      .selectAll()
      .where("id", "=", executionId)
      .where("machine_id", "=", machineId)
      .executeTakeFirst();
    if (!row) {
      throw new Refusal(
        "execution_not_found",
        `execution ${executionId} of machine ${machineId} does not exist`,
      );
    }
    return executionFromRow(row);
  }

  async list(machineId: string, page: PageRequest): Promise<PageResult<ExecutionRecord>> {
    await this.requireMachine(machineId);
    let query = this.host.db
      .selectFrom("executions")
      .selectAll()
      .where("machine_id", "=", machineId)
      .orderBy("seq", "desc")
      .limit(page.limit + 1);
    if (page.cursor !== undefined) query = query.where("seq", "<", decodeCursor(page.cursor));
    const rows = await query.execute();
    const shown = rows.slice(0, page.limit);
    const last = shown.at(-1);
    return {
      items: shown.map(executionFromRow),
      ...(rows.length > page.limit && last ? { nextCursor: encodeCursor(last.seq) } : {}),
    };
  }

  async output(
    machineId: string,
    executionId: string,
  ): Promise<{ record: ExecutionRecord; stdout: string; stderr: string }> {
    const record = await this.get(machineId, executionId);
    const exec = await this.host.driver.attachExec(machineId, executionId);
    if (!exec) {
      const gone = { stdoutTruncated: record.stdoutBytes > 0, stderrTruncated: record.stderrBytes > 0 };
      return { record: { ...record, ...gone }, stdout: "", stderr: "" };
    }
    const read = (path: string, bytes: number) =>
      textBetween(path, Math.max(0, bytes - keepOutputBytes), bytes);
    const [stdout, stderr] = await Promise.all([
      read(exec.stdoutPath, record.stdoutBytes),
      read(exec.stderrPath, record.stderrBytes),
    ]);
    return { record, stdout, stderr };
  }

  async events(
    machineId: string,
    executionId: string,
    page: PageRequest,
  ): Promise<PageResult<ExecutionEventRecord>> {
    const record = await this.get(machineId, executionId);
    const after = page.cursor === undefined ? 0 : decodeCursor(page.cursor);
    const rows = await this.host.db
      .selectFrom("execution_events")
      .selectAll()
      .where("execution_id", "=", executionId)
      .where("sequence", ">", after)
      .orderBy("sequence")
      .limit(page.limit + 1)
      .execute();
    const shown = rows.slice(0, page.limit);
    const exec = shown.some((row) => row.type !== "lifecycle")
      ? await this.host.driver.attachExec(machineId, executionId)
      : undefined;
    const items = await Promise.all(
      shown.map(async (row): Promise<ExecutionEventRecord> => {
        const head = { sequence: row.sequence, type: row.type, at: row.at };
        if (row.type !== "lifecycle") {
          const path = row.type === "stdout" ? exec?.stdoutPath : exec?.stderrPath;
          return {
            ...head,
            chunk: path ? await textBetween(path, row.from_byte ?? 0, row.to_byte ?? 0) : "",
          };
        }
        return {
          ...head,
          ...(row.status === null ? {} : { status: row.status }),
          ...(row.exit_code === null ? {} : { exitCode: row.exit_code }),
          ...(row.signal === null ? {} : { signal: row.signal }),
          ...(row.error_code === null ? {} : { errorCode: row.error_code }),
          ...(row.error_message === null ? {} : { errorMessage: row.error_message }),
        };
      }),
    );
    const last = shown.at(-1)?.sequence ?? after;
    const more = rows.length > page.limit || (record.completedAt === null && last > 0);
    return { items, ...(more ? { nextCursor: encodeCursor(last) } : {}) };
  }

  async remove(machineId: string, executionId: string): Promise<ExecutionRecord> {
    const record = await this.get(machineId, executionId);
    if (record.completedAt !== null) {
      await this.host.db.transaction().execute((tx) => deleteExecutions(tx, [executionId]));
      await this.host.driver.forgetExec(machineId, executionId);
      return record;
    }
    await this.launching.get(machineId);
    const run = this.runs.get(machineId)?.get(executionId);
    if (run) {
      await run.end({ status: "cancelled" });
      await run.finished;
    } else {
      await this.finishUnstarted([executionId], { status: "cancelled" });
    }
    return this.get(machineId, executionId);
  }

  // ------------------------------------------------------------- what the actors tell

  isBusy(machineId: string): boolean {
    return (this.runs.get(machineId)?.size ?? 0) > 0 || this.starting.has(machineId);
  }

  machineRuns(machineId: string): void {
    if (this.closed || this.launching.has(machineId)) return;
    const launch = this.launchAll(machineId)
      .catch((error: unknown) => {
        this.host.report(`machine ${machineId}: could not start its commands`, error);
      })
      .finally(() => {
        this.launching.delete(machineId);
        this.starting.delete(machineId);
      });
    this.launching.set(machineId, launch);
  }

  machineStops(machineId: string, why: string): void {
    for (const run of this.runs.get(machineId)?.values() ?? []) {
      run.expectEnd({ status: "failed", errorCode: "MACHINE_STOPPED", errorMessage: why });
    }
  }

  machineRests(machine: MachineRecord): void {
    if (machine.phase !== "failed" && machine.phase !== "destroyed") return;
    const why =
      machine.phase === "failed"
        ? `the machine failed (${machine.reason}): ${machine.lastError ?? "no error given"}`
        : "the machine was destroyed";
    this.unstarted(machine.id)
      .then((ids) =>
        this.finishUnstarted(ids, { status: "failed", errorCode: "MACHINE_UNAVAILABLE", errorMessage: why }),
      )
      .catch((error: unknown) => {
        this.host.report(`machine ${machine.id}: could not fail its waiting commands`, error);
      });
  }

  // ------------------------------------------------------------- life of the control plane

  /** Finds the commands of an earlier life again. Call it before any actor goes on. */
  async resume(): Promise<void> {
    const rows = await this.host.db
      .selectFrom("executions")
      .selectAll()
      .where("status", "=", "running")
      .execute();
    for (const row of rows) {
      const record = executionFromRow(row);
      const exec = await this.host.driver.attachExec(record.machineId, record.id);
      if (exec) this.follow(record, exec);
      else {
        await this.finishUnstarted([record.id], {
          status: "failed",
          errorCode: "EXECUTION_LOST",
          errorMessage: "the command was gone when the control plane started again",
        });
      }
    }
  }

  /** Forgets finished executions whose time is over. */
  async prune(): Promise<void> {
    const rows = await this.host.db
      .selectFrom("executions")
      .select(["id", "machine_id"])
      .where("expires_at", "<", this.host.now().toISOString())
      .execute();
    await this.host.db.transaction().execute((tx) =>
      deleteExecutions(
        tx,
        rows.map((row) => row.id),
      ),
    );
    for (const row of rows) await this.host.driver.forgetExec(row.machine_id, row.id);
  }

  async close(): Promise<void> {
    this.closed = true;
    await Promise.all(this.launching.values());
    await Promise.all(
      [...this.runs.values()].flatMap((runs) => [...runs.values()].map((run) => run.close())),
    );
  }

  // ------------------------------------------------------------- inside

  private async requireMachine(machineId: string): Promise<void> {
    await (await this.host.actor(machineId)).load();
  }

  private async unstarted(machineId: string): Promise<string[]> {
    const rows = await this.host.db
      .selectFrom("executions")
      .select("id")
      .where("machine_id", "=", machineId)
      .where("status", "in", ["queued", "wake_in_progress"])
      .orderBy("seq")
      .execute();
    return rows.map((row) => row.id);
  }

  private async launchAll(machineId: string): Promise<void> {
    for (let ids = await this.unstarted(machineId); ids.length > 0; ids = await this.unstarted(machineId)) {
      this.starting.add(machineId);
      for (const id of ids) {
        if (this.closed) return;
        await this.launch(machineId, id);
      }
    }
  }

  private async launch(machineId: string, executionId: string): Promise<void> {
    const { db, driver, now } = this.host;
    const row = await db
      .selectFrom("executions")
      .selectAll()
      .where("id", "=", executionId)
      .executeTakeFirst();
    if (!row || row.completed_at !== null) return;
    const record = executionFromRow(row);
    try {
      // It may have been started just before a kill -9, with nobody left to write that down.
      const exec =
        (await driver.attachExec(machineId, executionId)) ??
        (await driver.exec(execSpec(record, row.launch)));
      const startedAt = now().toISOString();
      await db.transaction().execute(async (tx) => {
        await tx
          .updateTable("executions")
          .set({ status: "running", started_at: startedAt, launch: null })
          .where("id", "=", executionId)
          .execute();
        await insertEvent(tx, { ...emptyEvent(executionId, 2, "lifecycle", now()), status: "running" });
      });
      this.follow({ ...record, startedAt }, exec);
    } catch (error) {
      this.host.report(`execution ${executionId}: could not be started`, error);
      await this.finishUnstarted([executionId], {
        status: "failed",
        errorCode: "EXECUTION_START_FAILED",
        errorMessage: error instanceof Error ? error.message : String(error),
      });
    }
  }

  private follow(record: ExecutionRecord, exec: RunningExec): void {
    const { db, now, report } = this.host;
    const spentMs = now().getTime() - Date.parse(record.startedAt ?? record.createdAt);
    const run: ExecutionRun = new ExecutionRun(
      {
        db,
        executionId: record.id,
        exec,
        now,
        report,
        keepBytes: keepOutputBytes,
        timeoutMs: record.timeoutMs === null ? null : record.timeoutMs - spentMs,
      },
      (tx, exit, ending) => this.complete(tx, record.id, run.nextSequence(), exit, ending),
    );
    const runs = this.runs.get(record.machineId) ?? new Map<string, ExecutionRun>();
    this.runs.set(record.machineId, runs.set(record.id, run));
    void run.finished.then(() => this.ended(record));
  }

  private async ended(record: ExecutionRecord): Promise<void> {
    const runs = this.runs.get(record.machineId);
    runs?.delete(record.id);
    if (runs?.size === 0) this.runs.delete(record.machineId);
    if (this.closed) return;
    try {
      const actor = await this.host.actor(record.machineId);
      await actor.exclusive(() => this.host.db.transaction().execute((tx) => actor.touch(tx)));
      actor.poke();
    } catch (error) {
      if (!(error instanceof Refusal))
        this.host.report(`execution ${record.id}: could not note its end`, error);
    }
  }

  private async complete(
    tx: Tx,
    executionId: string,
    sequence: number,
    exit: ExecExit,
    ending: Ending | undefined,
  ): Promise<void> {
    const at = this.host.now();
    const failure =
      ending?.status === "failed"
        ? { error_code: ending.errorCode, error_message: ending.errorMessage }
        : exit.startError !== undefined
          ? { error_code: "COMMAND_NOT_STARTED", error_message: exit.startError }
          : exit.exitCode === null
            ? { error_code: "EXIT_UNKNOWN", error_message: "how the command ended could not be learned" }
            : { error_code: null, error_message: null };
    const status =
      ending?.status ?? (exit.exitCode === 0 && exit.startError === undefined ? "succeeded" : "failed");
    const result = { status, exit_code: exit.exitCode, signal: exit.signal, ...failure } as const;
    await tx
      .updateTable("executions")
      .set({ ...result, ...completion(at) })
      .where("id", "=", executionId)
      .execute();
    await insertEvent(tx, { ...emptyEvent(executionId, sequence, "lifecycle", at), ...result });
  }

  /** Ends executions that have no process. */
  private async finishUnstarted(ids: readonly string[], ending: Ending): Promise<void> {
    const at = this.host.now();
    for (const id of ids) {
      await this.host.db.transaction().execute(async (tx) => {
        const { last } = await tx
          .selectFrom("execution_events")
          .select((eb) => eb.fn.max("sequence").as("last"))
          .where("execution_id", "=", id)
          .executeTakeFirstOrThrow();
        const result = {
          status: ending.status,
          error_code: ending.status === "failed" ? ending.errorCode : null,
          error_message: ending.status === "failed" ? ending.errorMessage : null,
        };
        const { numUpdatedRows } = await tx
          .updateTable("executions")
          .set({ ...result, ...completion(at) })
          .where("id", "=", id)
          .where("completed_at", "is", null)
          .executeTakeFirstOrThrow();
        if (numUpdatedRows === 0n) return;
        await insertEvent(tx, { ...emptyEvent(id, Number(last ?? 0) + 1, "lifecycle", at), ...result });
      });
    }
  }
}

const completion = (at: Date) => ({
  completed_at: at.toISOString(),
  expires_at: new Date(at.getTime() + keepFinishedMs).toISOString(),
  launch: null,
});

const asleep = (machine: MachineRecord): boolean =>
  machine.phase === "sleeping" || machine.phase === "stopping";

const newExecution = (
  machineId: string,
  spec: NewExecution,
  status: "queued" | "wake_in_progress",
  at: string,
): ExecutionRecord => ({
  id: newId("exec_"),
  machineId,
  status,
  command: spec.command,
  cwd: spec.cwd ?? null,
  envKeys: Object.keys(spec.env),
  timeoutMs: spec.timeoutMs ?? null,
  createdAt: at,
  startedAt: null,
  completedAt: null,
  expiresAt: null,
  exitCode: null,
  signal: null,
  errorCode: null,
  errorMessage: null,
  stdoutBytes: 0,
  stderrBytes: 0,
  stdoutTruncated: false,
  stderrTruncated: false,
});

function execSpec(record: ExecutionRecord, launch: string | null): ExecSpec {
  const { env, stdin } = JSON.parse(launch ?? '{"env":{}}') as Launch;
  return {
    executionId: record.id,
    machineId: record.machineId,
    command: record.command,
    env,
    ...(record.cwd === null ? {} : { cwd: record.cwd }),
    ...(stdin === undefined ? {} : { stdin }),
  };
}

async function insertExecution(tx: Tx, record: ExecutionRecord, launch: Launch): Promise<void> {
  await tx
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
      stdout_bytes: 0,
      stderr_bytes: 0,
      stdout_truncated: 0,
      stderr_truncated: 0,
      launch: JSON.stringify(launch),
    })
    .execute();
  await insertEvent(tx, {
    ...emptyEvent(record.id, 1, "lifecycle", new Date(record.createdAt)),
    status: record.status,
  });
}

const insertEvent = async (
  tx: Tx,
  event: Omit<
    ReturnType<typeof emptyEvent>,
    "status" | "exit_code" | "signal" | "error_code" | "error_message"
  > & {
    status: ExecutionRecord["status"] | null;
    exit_code?: number | null;
    signal?: number | null;
    error_code?: string | null;
    error_message?: string | null;
  },
): Promise<void> => {
  await tx.insertInto("execution_events").values(event).execute();
};

/** Removes executions and their events. */
export async function deleteExecutions(tx: Tx, ids: readonly string[]): Promise<void> {
  for (const id of ids) {
    await tx.deleteFrom("execution_events").where("execution_id", "=", id).execute();
    await tx.deleteFrom("executions").where("id", "=", id).execute();
  }
}
