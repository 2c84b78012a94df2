/**
 * State only, for load tests: no process, no file. Every command ends at once with exit code 0 and no output, and a new
 * control plane finds no machine running; starting it again costs nothing.
 */
import { DriverError, type Driver, type ExecSpec, type MachineSpec, type RunningExec } from "../driver";

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

  async snapshot(): Promise<never> {
    throw new DriverError("not_supported", "not built yet", false);
  }
  async forgetSnapshot(): Promise<void> {
    return undefined;
  }
  async usage(): Promise<never> {
    throw new DriverError("not_supported", "not built yet", false);
  }
  async pipe(): Promise<never> {
    throw new DriverError("not_supported", "not built yet", false);
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
