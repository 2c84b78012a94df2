/** Processes as their callers hold them, on top of the engine's executions. */
import { type Machines, Refusal, type RefusalCode } from "../control-plane";
import { type Driver, DriverError, type TerminalSize } from "../driver";
import type { ExecutionRun } from "../execution-run";
import type { Executions } from "../executions";
import type { FollowProcess, NewProcess, ProcessLogs, ProcessOutput, ProcessRecord, Processes } from "./api";
import { followOutput, lingerMs } from "./follow";
import { logsOf } from "./logs";
import { ProcessStore, sessionOf } from "./process-store";

export interface ProcessesHost {
  executions: Executions;
  driver: Driver;
  use: Machines["use"];
  report: (message: string, error?: unknown) => void;
}

export class EngineProcesses implements Processes {
  private readonly store: ProcessStore;

  constructor(private readonly host: ProcessesHost) {
    this.store = host.executions.processes;
  }

  async start(machineId: string, spec: NewProcess, signal: AbortSignal): Promise<ProcessRecord> {
    checkSpec(spec);
    await this.host.use(machineId, "command", signal);
    signal.throwIfAborted();
    const run = await this.begin(machineId, spec);
    const { exec, pid } = run.options;
    if ((await exec.begun?.()) === false) await run.finished;
    if (signal.aborted) {
      // Its caller is gone and knows no number to end it by.
      await this.end(run);
      signal.throwIfAborted();
    }
    const process = await this.get(machineId, pid);
    if (process.errorCode !== "COMMAND_NOT_STARTED") return process;
    throw new Refusal(
      "process_failed",
      `${process.command}: ${process.errorMessage ?? "could not be started"}`,
    );
  }

  async get(machineId: string, pid: number): Promise<ProcessRecord> {
    const found = await this.store.find(machineId, pid);
    if (found) return this.upToDate(found);
    await this.host.executions.requireMachine(machineId);
    throw new Refusal("process_not_found", `process ${String(pid)} of machine ${machineId} does not exist`);
  }

  async list(machineId: string): Promise<ProcessRecord[]> {
    await this.host.executions.requireMachine(machineId);
    return (await this.store.list(machineId)).map((process) => this.upToDate(process));
  }

  async ended(machineId: string, pid: number, signal: AbortSignal): Promise<ProcessRecord> {
    const { executions } = this.host;
    for (;;) {
      signal.throwIfAborted();
      const seen = executions.pulse.now;
      const run = executions.runOf(machineId, pid);
      const process = await this.get(machineId, pid);
      if (!process.running) return process;
      if (executions.isClosed) throw new Refusal("process_failed", "the control plane is being stopped");
      if (run) await run.over.after(0, signal);
      else await executions.pulse.after(seen, signal);
    }
  }

  async follow(machineId: string, pid: number, options: FollowProcess): Promise<ProcessOutput> {
    const process = await this.get(machineId, pid);
    const { executions, driver } = this.host;
    return followOutput({ executions, driver, get: () => this.get(machineId, pid) }, process, options);
  }

  async logs(machineId: string, pid: number): Promise<ProcessLogs> {
    await this.get(machineId, pid);
    const run = this.host.executions.runOf(machineId, pid);
    await run?.recorder.settle();
    return logsOf(await this.get(machineId, pid), run, this.store, this.host.driver);
  }

  async writeStdin(machineId: string, pid: number, data: Uint8Array, signal: AbortSignal): Promise<void> {
    const run = await this.runningOf(machineId, pid, "stdin_closed");
    await refusing(() => run.options.exec.writeStdin(data, { signal }));
  }

  async closeStdin(machineId: string, pid: number): Promise<void> {
    const run = await this.runningOf(machineId, pid, "stdin_closed");
    await refusing(() => run.options.exec.closeStdin());
  }

  async kill(machineId: string, pid: number): Promise<void> {
    const run = this.host.executions.runOf(machineId, pid);
    if (run) return this.end(run);
    const process = await this.get(machineId, pid);
    // It waits for its machine: an execution of the other dialect.
    if (process.running) await this.host.executions.remove(machineId, process.executionId);
  }

  async resize(machineId: string, pid: number, size: TerminalSize): Promise<void> {
    checkSize(size);
    const { terminal, executionId } = await this.get(machineId, pid);
    if (!terminal) throw new Refusal("not_a_terminal", `process ${String(pid)} does not run on a terminal`);
    const run = await this.runningOf(machineId, pid, "process_not_found");
    await refusing(() => run.options.exec.resize(size));
    await this.store.setTerminalSize(executionId, size);
  }

  async terminal(machineId: string, sessionId: string): Promise<ProcessRecord> {
    const found = await this.store.findSession(machineId, sessionId);
    if (found && sessionOf(found.executionId) === sessionId) return this.upToDate(found);
    await this.host.executions.requireMachine(machineId);
    throw new Refusal("process_not_found", `terminal ${sessionId} of machine ${machineId} does not exist`);
  }

  /** The commands that run in a machine, from memory. */
  runningCommands(machineId: string): { pid: number; command: string }[] {
    return this.host.executions.runningCommands(machineId);
  }

  private async begin(machineId: string, spec: NewProcess): Promise<ExecutionRun> {
    try {
      return await this.host.executions.begin(machineId, spec, lingerMs);
    } catch (error) {
      if (!(error instanceof DriverError)) throw error;
      throw new Refusal(refusalOf[error.reason] ?? "process_failed", error.message, {
        retryable: error.retryable,
      });
    }
  }

  private async end(run: ExecutionRun): Promise<void> {
    if (!run.isRunning) return;
    await run.end({ status: "cancelled" });
    await run.finished;
  }

  private async runningOf(
    machineId: string,
    pid: number,
    otherwise: "stdin_closed" | "process_not_found",
  ): Promise<ExecutionRun> {
    const run = this.host.executions.runOf(machineId, pid);
    if (run?.isRunning) return run;
    const { running } = await this.get(machineId, pid);
    throw new Refusal(otherwise, `process ${String(pid)} ${running ? "has not started yet" : "has ended"}`);
  }

  /** The store hears of output a moment later than we do. */
  private upToDate(process: ProcessRecord): ProcessRecord {
    const run = process.running ? this.host.executions.runOf(process.machineId, process.pid) : undefined;
    if (!run) return process;
    return { ...process, stdoutBytes: run.recorder.end.stdout, stderrBytes: run.recorder.end.stderr };
  }
}

/** Of a command that did not start, by the driver's reason. */
const refusalOf: Readonly<Record<string, RefusalCode>> = {
  not_running: "machine_not_running",
  bad_command: "invalid_argument",
};

async function refusing(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    const reason = error instanceof DriverError ? error.reason : undefined;
    if (reason === "stdin_closed" || reason === "not_a_terminal") {
      throw new Refusal(reason, (error as DriverError).message);
    }
    if (error instanceof DriverError) throw new Refusal("process_failed", error.message);
    throw error;
  }
}

function checkSpec(spec: NewProcess): void {
  if (!spec.command[0])
    throw new Refusal("invalid_argument", "the command is empty: give at least a program's name");
  if (spec.timeoutMs !== undefined && !(spec.timeoutMs > 0)) {
    throw new Refusal("invalid_argument", "timeoutMs must be more than 0");
  }
  if (spec.terminal) checkSize(spec.terminal);
}

function checkSize({ cols, rows }: TerminalSize): void {
  const isSize = (count: number): boolean => Number.isInteger(count) && count >= 1 && count <= 65_535;
  if (!isSize(cols) || !isSize(rows)) {
    throw new Refusal("invalid_argument", "a terminal has 1 to 65535 columns and rows");
  }
}
