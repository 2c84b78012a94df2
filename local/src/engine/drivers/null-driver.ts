/**
 * State only, for load tests: no process, no file. Every command ends at once with exit code 0 and no output, and a new
 * control plane finds no machine running; starting it again costs nothing.
 */
import {
  DriverError,
  type Driver,
  type ExecSpec,
  type MachineSpec,
  type MachineUsage,
  type RunningExec,
} from "../driver";

export class NullDriver implements Driver {
  readonly name = "null";
  readonly notEnforced: readonly string[] = [];
  readonly warnings = ["The null driver runs nothing: commands succeed at once without doing anything."];
  private readonly running = new Set<string>();

  async start(spec: MachineSpec, { signal }: { signal: AbortSignal }): Promise<void> {
    signal.throwIfAborted();
    this.running.add(spec.id);
  }

  async isRunning(machineId: string): Promise<boolean> {
    return this.running.has(machineId);
  }

  onExit(): () => void {
    return () => undefined;
  }

  async stop(machineId: string): Promise<void> {
    this.running.delete(machineId);
  }

  async destroy(machineId: string): Promise<void> {
    this.running.delete(machineId);
  }

  async resize(): Promise<void> {
    return undefined;
  }

  async exec(_spec: ExecSpec): Promise<RunningExec> {
    return endedAtOnce;
  }

  async attachExec(): Promise<undefined> {
    return undefined;
  }

  async forgetExec(): Promise<void> {
    return undefined;
  }

  /** Only its name exists, so that every machine can be started from it, also by the next control plane. */
  async snapshot(): Promise<{ sizeBytes: number }> {
    return { sizeBytes: 0 };
  }

  async forgetSnapshot(): Promise<void> {
    return undefined;
  }

  async usage({ id }: { id: string }): Promise<MachineUsage> {
    if (!this.running.has(id)) {
      throw new DriverError("not_running", `machine ${id} does not run: start it first`, true);
    }
    return { cpuPercent: 0, memoryUsedBytes: 0, diskUsedBytes: 0, networkRxBytes: 0, networkTxBytes: 0 };
  }

  async pipe(): Promise<never> {
    const words = "machines of the null driver run nothing and have no files: use another driver";
    throw new DriverError("not_supported", words, false);
  }

  async sweep(known: ReadonlySet<string>): Promise<string[]> {
    const unknown = [...this.running].filter((id) => !known.has(id));
    for (const id of unknown) this.running.delete(id);
    return unknown;
  }

  async close(): Promise<void> {
    return undefined;
  }
}

const endedAtOnce: RunningExec = {
  stdoutPath: "/dev/null",
  stderrPath: "/dev/null",
  exited: Promise.resolve({ exitCode: 0, signal: null }),
  kill: async () => undefined,
  writeStdin: async () => undefined,
  closeStdin: async () => undefined,
  resize: async () => undefined,
};
