/** What every machine's actor works with. */
import type { RevisionLog } from "../events";
import type { Faults } from "../faults";
import type { Database } from "../store/store";
import type { Capacity } from "./capacity";
import type { Driver } from "./driver";
import type { EngineLifecycleLog } from "./lifecycle-log";
import type { MachineRecord } from "./record";

/** What the actor tells the part that runs commands. */
export interface ExecutionHooks {
  machineRuns(machineId: string): void;
  /** The machine's processes are about to be ended, for this reason. */
  machineStops(machineId: string, why: string): void;
  /** The machine rests without running: commands that wait for it cannot start. */
  machineRests(machine: MachineRecord): void;
  isBusy(machineId: string): boolean;
  /** What runs in it now, for the report of what a hibernation ended. */
  runningCommands(machineId: string): { pid: number; command: string }[];
}

export interface Host {
  readonly db: Database;
  readonly log: RevisionLog;
  readonly lifecycle: EngineLifecycleLog;
  readonly driver: Driver;
  readonly faults: Faults;
  readonly capacity: Capacity;
  readonly now: () => Date;
  readonly report: (message: string, error?: unknown) => void;
  readonly executions: () => ExecutionHooks;
}
