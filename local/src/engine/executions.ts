/**
 * Commands in machines: accepted into the store, started when their machine runs (which wakes it first if need be),
 * followed to their end, found again after a restart.
 */
import { can } from "@pulumi-machines/sdk/dedalus/rules";
import type { Database, Tx } from "../store/store";
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
import { cursorAt, positionOf } from "./cursor";
import type { Driver, ExecSpec, RunningExec } from "./driver";
import { eventsOf, onOnePage, outputOf, type ExecutionOutput } from "./execution-output";
import { ExecutionRun } from "./execution-run";
import { ExecutionStore, type Launch, type MachineDefaults, type NumberedExecution } from "./execution-store";
import type { Idempotency } from "./idempotency";
import { newId } from "./id";
import { desire, invalidState } from "./machine";
import type { NewProcess } from "./processes/api";
import { ProcessStore, sessionOf } from "./processes/process-store";
import { Pulse } from "./processes/pulse";
import { keepOutputBytes } from "./processes/recorder";
import type { ExecutionHooks, MachineActor } from "./reconciler";
import type { ExecutionEventRecord, ExecutionRecord, MachineRecord } from "./record";

export { keepOutputBytes };
/** When to ask again about an execution whose machine wakes. */
export const wakeRetryMs = 250;

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
  /** By number: those that run, and those that ended while somebody still reads what they wrote. */
  private readonly byPid = new Map<number, ExecutionRun>();
  /** Machines in which a command is being started just now, and how many. */
  private readonly starting = new Map<string, number>();
  /** Machines whose processes are being ended, and why. */
  private readonly stopping = new Map<string, string>();
  /** Beats when an execution starts or ends. */
  readonly pulse = new Pulse();
  /** The same executions, as their callers by number see them. */
  readonly processes: ProcessStore;
  private readonly store: ExecutionStore;
  private closed = false;

  constructor(private readonly host: ExecutionsHost) {
    this.store = new ExecutionStore(host.db, host.now);
    this.processes = new ProcessStore(host.db, host.now);
  }

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
          const { env, stdin } = spec;
          await this.store.insert(tx, execution, stdin === undefined ? { env } : { env, stdin });
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
    const record = await this.store.find(machineId, executionId);
    if (record) return record;
    throw new Refusal(
      "execution_not_found",
      `execution ${executionId} of machine ${machineId} does not exist`,
    );
  }

  async list(machineId: string, page: PageRequest): Promise<PageResult<ExecutionRecord>> {
    await this.requireMachine(machineId);
    return this.store.page(machineId, page);
  }

  async output(machineId: string, executionId: string): Promise<ExecutionOutput> {
    const recorder = this.runs.get(machineId)?.get(executionId)?.recorder;
    // Nothing that it keeps now is dropped while it is read.
    const hold = recorder?.hold(recorder.kept);
    try {
      await recorder?.settle();
      const record = await this.get(machineId, executionId);
      return await outputOf(record, await this.host.driver.attachExec(machineId, executionId));
    } finally {
      hold?.release();
    }
  }

  async events(
    machineId: string,
    executionId: string,
    page: PageRequest,
  ): Promise<PageResult<ExecutionEventRecord>> {
    const record = await this.get(machineId, executionId);
    const recorder = this.runs.get(machineId)?.get(executionId)?.recorder;
    const after = page.cursor === undefined ? 0 : positionOf(page.cursor);
    const rows = await this.store.events(executionId, after, page.limit + 1);
    const shown = onOnePage(rows, page.limit);
    const exec = shown.some((row) => row.type !== "lifecycle")
      ? await this.host.driver.attachExec(machineId, executionId)
      : undefined;
    const items = await eventsOf(shown, exec, () => recorder?.kept);
    const last = shown.at(-1)?.sequence ?? after;
    const more = rows.length > shown.length || (record.completedAt === null && last > 0);
    return { items, ...(more ? { nextCursor: cursorAt(last) } : {}) };
  }

  async remove(machineId: string, executionId: string): Promise<ExecutionRecord> {
    const record = await this.get(machineId, executionId);
    if (record.completedAt !== null) {
      await this.host.db.transaction().execute((tx) => this.store.remove(tx, [executionId]));
      await this.host.driver.forgetExec(machineId, executionId);
      return record;
    }
    await this.launching.get(machineId);
    const run = this.runs.get(machineId)?.get(executionId);
    if (run) {
      await run.end({ status: "cancelled" });
      await run.finished;
    } else {
      await this.store.endUnstarted([executionId], { status: "cancelled" });
      this.pulse.beat();
    }
    return this.get(machineId, executionId);
  }

  // ------------------------------------------------------------- what `Processes` asks

  /** @throws Refusal machine_not_found. */
  async requireMachine(machineId: string): Promise<void> {
    await (await this.host.actor(machineId)).load();
  }

  /**
   * Starts a command at once, in a machine that runs. Until somebody reads it, and for a while after, all of its output
   * is kept for `holdMs`. @throws DriverError as the driver's exec does.
   */
  async begin(machineId: string, spec: NewProcess, holdMs: number): Promise<ExecutionRun> {
    const at = this.host.now().toISOString();
    const execution: ExecutionRecord = {
      ...newExecution(machineId, { ...spec, env: spec.env ?? {} }, "running", at),
      startedAt: at,
    };
    this.countStarting(machineId, 1);
    try {
      const traits = {
        terminal: spec.terminal
          ? JSON.stringify({ ...spec.terminal, sessionId: sessionOf(execution.id) })
          : null,
        openStdin: spec.stdin === "open" || spec.terminal !== undefined,
        display: spec.display ?? null,
      };
      // In the store before it runs, so that it is found again after a kill -9; its variables never get there.
      const { pid, defaults } = await this.host.db.transaction().execute(async (tx) => ({
        pid: await this.store.insert(tx, execution, null, traits),
        defaults: await this.store.machineDefaults(tx, machineId),
      }));
      const exec = await this.exec(execution, {
        ...execSpec(execution, { env: spec.env ?? {} }, defaults),
        asAtPrompt: true,
        ...(spec.stdin === "open" && !spec.terminal ? { openStdin: true } : {}),
        ...(spec.terminal ? { terminal: spec.terminal } : {}),
      });
      const display = spec.display ?? spec.command.join(" ");
      const run = this.follow({ pid, display, record: execution }, exec);
      run.recorder.hold({ stdout: 0, stderr: 0 }).release(holdMs);
      const why = this.stopping.get(machineId);
      if (why !== undefined) run.expectEnd(machineStopped(why));
      return run;
    } finally {
      this.countStarting(machineId, -1);
    }
  }

  /** The run of a command; one that has ended only while somebody reads it. */
  runOf(machineId: string, pid: number): ExecutionRun | undefined {
    const run = this.byPid.get(pid);
    return run?.options.machineId === machineId ? run : undefined;
  }

  /** From memory: the commands that run in a machine. */
  runningCommands(machineId: string): { pid: number; command: string }[] {
    const runs = [...(this.runs.get(machineId)?.values() ?? [])];
    return runs.map(({ options: { pid, command } }) => ({ pid, command }));
  }

  private async exec(record: ExecutionRecord, spec: ExecSpec): Promise<RunningExec> {
    try {
      return await this.host.driver.exec(spec);
    } catch (error) {
      await this.startFailed(record.id, error);
      throw error;
    }
  }

  // ------------------------------------------------------------- what the actors tell

  isBusy(machineId: string): boolean {
    return (this.runs.get(machineId)?.size ?? 0) > 0 || this.starting.has(machineId);
  }

  machineRuns(machineId: string): void {
    this.stopping.delete(machineId);
    if (this.closed || this.launching.has(machineId)) return;
    const launch = this.launchAll(machineId)
      .catch((error: unknown) => {
        this.host.report(`machine ${machineId}: could not start its commands`, error);
      })
      .finally(() => {
        this.launching.delete(machineId);
      });
    this.launching.set(machineId, launch);
  }

  machineStops(machineId: string, why: string): void {
    this.stopping.set(machineId, why);
    for (const run of this.runs.get(machineId)?.values() ?? []) run.expectEnd(machineStopped(why));
  }

  machineRests(machine: MachineRecord): void {
    this.stopping.delete(machine.id);
    if (machine.phase !== "failed" && machine.phase !== "destroyed") return;
    const why =
      machine.phase === "failed"
        ? `the machine failed (${machine.reason}): ${machine.lastError ?? "no error given"}`
        : "the machine was destroyed";
    this.store
      .unstarted(machine.id)
      .then((ids) =>
        this.store.endUnstarted(ids, {
          status: "failed",
          errorCode: "MACHINE_UNAVAILABLE",
          errorMessage: why,
        }),
      )
      .then(() => this.pulse.beat())
      .catch((error: unknown) => {
        this.host.report(`machine ${machine.id}: could not fail its waiting commands`, error);
      });
  }

  // ------------------------------------------------------------- life of the control plane

  /** Finds the commands of an earlier life again. Call it before any actor goes on. */
  async resume(): Promise<void> {
    for (const found of await this.store.running()) {
      const { record } = found;
      const exec = await this.host.driver.attachExec(record.machineId, record.id);
      if (exec) this.follow(found, exec);
      else {
        await this.store.endUnstarted([record.id], {
          status: "failed",
          errorCode: "EXECUTION_LOST",
          errorMessage: "the command was gone when the control plane started again",
        });
      }
    }
  }

  /** Forgets finished executions whose time is over. */
  async prune(): Promise<void> {
    for (const { id, machineId } of await this.store.removeExpired())
      await this.host.driver.forgetExec(machineId, id);
  }

  /** Forgets every execution of a machine that is forgotten. */
  removeOfMachine(tx: Tx, machineId: string): Promise<void> {
    return this.store.removeOfMachine(tx, machineId);
  }

  async close(): Promise<void> {
    this.closed = true;
    await Promise.all(this.launching.values());
    await Promise.all([...this.byPid.values()].map((run) => run.close()));
    this.pulse.beat();
  }

  get isClosed(): boolean {
    return this.closed;
  }

  // ------------------------------------------------------------- inside

  private async launchAll(machineId: string): Promise<void> {
    for (
      let ids = await this.store.unstarted(machineId);
      ids.length > 0;
      ids = await this.store.unstarted(machineId)
    ) {
      this.countStarting(machineId, 1);
      try {
        for (const id of ids) {
          if (this.closed) return;
          await this.launch(machineId, id);
        }
      } finally {
        this.countStarting(machineId, -1);
      }
    }
  }

  private async launch(machineId: string, executionId: string): Promise<void> {
    const { driver } = this.host;
    const found = await this.store.toStart(executionId);
    if (!found) return;
    const { record, launch, defaults } = found;
    try {
      // It may have been started just before a kill -9, with nobody left to write that down.
      const exec =
        (await driver.attachExec(machineId, executionId)) ??
        (await driver.exec(execSpec(record, launch, defaults)));
      this.follow(
        { ...found, record: { ...record, startedAt: await this.store.started(executionId) } },
        exec,
      );
    } catch (error) {
      await this.startFailed(executionId, error);
    }
  }

  private async startFailed(executionId: string, error: unknown): Promise<void> {
    this.host.report(`execution ${executionId}: could not be started`, error);
    await this.store.endUnstarted([executionId], {
      status: "failed",
      errorCode: "EXECUTION_START_FAILED",
      errorMessage: error instanceof Error ? error.message : String(error),
    });
    this.pulse.beat();
  }

  private countStarting(machineId: string, by: 1 | -1): void {
    const count = (this.starting.get(machineId) ?? 0) + by;
    if (count > 0) this.starting.set(machineId, count);
    else this.starting.delete(machineId);
  }

  private follow({ pid, display, record }: NumberedExecution, exec: RunningExec): ExecutionRun {
    const { db, now, report } = this.host;
    const spentMs = now().getTime() - Date.parse(record.startedAt ?? record.createdAt);
    const run: ExecutionRun = new ExecutionRun(
      {
        ...{ db, exec, now, report, pid, executionId: record.id, machineId: record.machineId },
        command: display,
        timeoutMs: record.timeoutMs === null ? null : record.timeoutMs - spentMs,
      },
      (tx, exit, ending) => this.store.ended(tx, record.id, run.recorder.nextSequence(), exit, ending),
    );
    const runs = this.runs.get(record.machineId) ?? new Map<string, ExecutionRun>();
    this.runs.set(record.machineId, runs.set(record.id, run));
    this.byPid.set(pid, run);
    void run.finished.then(() => this.ended(record));
    void run.recorder.untilIdle().then(() => this.byPid.delete(pid));
    this.pulse.beat();
    return run;
  }

  private async ended(record: ExecutionRecord): Promise<void> {
    const runs = this.runs.get(record.machineId);
    runs?.delete(record.id);
    if (runs?.size === 0) this.runs.delete(record.machineId);
    this.pulse.beat();
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
}

const asleep = (machine: MachineRecord): boolean =>
  machine.phase === "sleeping" || machine.phase === "stopping";

const newExecution = (
  machineId: string,
  spec: Pick<NewExecution, "command" | "cwd" | "env" | "timeoutMs">,
  status: "queued" | "wake_in_progress" | "running",
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

const machineStopped = (why: string) =>
  ({ status: "failed", errorCode: "MACHINE_STOPPED", errorMessage: why }) as const;

/** What every command of the machine gets, and over it what is the command's own. */
function execSpec(record: ExecutionRecord, { env, stdin }: Launch, defaults: MachineDefaults): ExecSpec {
  const cwd = record.cwd ?? defaults.cwd;
  return {
    executionId: record.id,
    machineId: record.machineId,
    command: record.command,
    env: { ...defaults.env, ...env },
    ...(cwd === null ? {} : { cwd }),
    ...(record.cwd === null && cwd !== null ? { makeCwd: true } : {}),
    ...(stdin === undefined ? {} : { stdin }),
  };
}
