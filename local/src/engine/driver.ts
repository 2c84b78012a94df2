/**
 * What runs machines. The engine decides, a driver does; it keeps no opinion about phases.
 *
 * Every method is idempotent, and a driver keeps what it needs to find a machine again in the machine's own
 * folder, so that it can be called after a kill -9 of the control plane at any point.
 */
import type { Readable, Writable } from "node:stream";
import type { MachineSize } from "./record";

export interface MachineSpec extends MachineSize {
  id: string;
  /** Host name inside the machine. */
  hostname: string;
  /** "none": a network of its own with loopback only. Takes effect at the next start. */
  network: "host" | "none";
  /** The first start makes the disk from this snapshot; later starts do not look at it. */
  fromSnapshotId?: string;
}

/** Use of a machine at one moment. */
export interface MachineUsage {
  /** Of all its vCPUs together since the last call (or its start): 0 to 100. */
  cpuPercent: number;
  memoryUsedBytes: number;
  diskUsedBytes: number;
  networkRxBytes: number;
  networkTxBytes: number;
}

/** A short program in a machine with pipes of ours: it ends with the control plane. For file calls, not for users. */
export interface PipedProgram {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Its exit code, 128 + n by a signal; rejects with a DriverError when it could not be started. */
  readonly exited: Promise<number>;
  kill(): void;
}

export interface TerminalSize {
  cols: number;
  rows: number;
}

/** A driver could not do what was asked. `message` holds the system's own words. */
export class DriverError extends Error {
  override readonly name = "DriverError";
  constructor(
    /** Short and stable, becomes the machine's `reason`: "sandbox_unusable", "start_failed", ... */
    readonly reason: string,
    message: string,
    /** True when doing the same again may help. */
    readonly retryable: boolean,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

export interface ExecSpec {
  executionId: string;
  machineId: string;
  /** argv, execve style: no shell. It can be read in the host's process list. */
  command: string[];
  /** Default: root's home. */
  cwd?: string;
  /** The folder is made where there is none. */
  makeCwd?: boolean;
  /** A program that is not there is exit code 127 with words on stderr, as at a prompt; default: it is a `startError`. */
  asAtPrompt?: boolean;
  /** Names as a shell exports them: letters, digits and _. Values never stand on a command line. */
  env: Record<string, string>;
  stdin?: string;
  /** stdin stays open, for `writeStdin`. Not together with `stdin`. */
  openStdin?: boolean;
  /** Runs on a terminal of its own: stdin stays open, and stderr is part of stdout. */
  terminal?: TerminalSize;
}

/**
 * A command that runs in a machine. Its process, output files and exit status outlive the control plane: what is in
 * `folder` is all that `attachExec` needs.
 */
export interface RunningExec {
  /** Output files, appended to by the command itself. Offsets never move, also when old bytes were dropped. */
  readonly stdoutPath: string;
  readonly stderrPath: string;
  /** True when the command itself has begun to run, false when it has ended without. Absent: it has begun. */
  begun?(): Promise<boolean>;
  /**
   * Resolves when the command has ended (also when it was killed or its machine went); never rejects. After `close` of
   * the driver it stays as it is.
   */
  readonly exited: Promise<ExecExit>;
  /**
   * Kills the command and everything it started that is still below it. SIGKILL (default) returns when they are gone;
   * SIGTERM returns when it was sent.
   */
  kill(signal?: "SIGTERM" | "SIGKILL"): Promise<void>;
  /**
   * Resolves when the command's pipe has taken the bytes, which may wait for the command to read.
   * @throws DriverError stdin_closed: it was closed, never open, or the command has ended.
   */
  writeStdin(data: Uint8Array, options?: { signal?: AbortSignal }): Promise<void>;
  /** The command reads an end; a no-op when it was closed before. @throws DriverError stdin_closed as above. */
  closeStdin(): Promise<void>;
  /** @throws DriverError not_a_terminal. */
  resize(size: TerminalSize): Promise<void>;
}

export interface ExecExit {
  /** As a shell says it: 128 + n when a signal ended it. Null when it could not be learned (the host went down). */
  exitCode: number | null;
  /** Exit code less 128; as at a prompt, a program that itself exits with 137 reads as ended by signal 9. */
  signal: number | null;
  /** Set when the command could not be started at all: the system's own words. */
  startError?: string;
}

export interface Driver {
  readonly name: "sandbox" | "process" | "null";
  /**
   * What of a machine's size this host does not enforce, in words for a machine's `reason`,
   * such as "storage limit"; empty when everything is enforced.
   */
  readonly notEnforced: readonly string[];
  /** What this driver does not isolate, one line a warning, for the terminal at start. */
  readonly warnings: readonly string[];

  /** Makes the machine's disk when there is none and starts its processes; returns at once when they run already. */
  start(spec: MachineSpec, options: { signal: AbortSignal }): Promise<void>;
  /** True when the machine's processes run. */
  isRunning(machineId: string): Promise<boolean>;
  /**
   * Calls back once when the machine's processes end without `stop` or `destroy`; returns what cancels it. A stop or
   * destroy cancels it too: ask again after the next start.
   */
  onExit(machineId: string, listener: (words: string) => void): () => void;
  /** Ends every process of the machine, at once as pulling the plug does, and keeps its disk. */
  stop(machineId: string): Promise<void>;
  /** Ends every process and removes disk, mounts, cgroups and files. */
  destroy(machineId: string): Promise<void>;
  /** Applies new limits to a running machine; a no-op for one that does not run. */
  resize(spec: MachineSpec): Promise<void>;

  /**
   * An id that was started before is not started again: its command, running or ended, is the answer.
   * @throws DriverError not_running, bad_command.
   */
  exec(spec: ExecSpec): Promise<RunningExec>;
  /** The command of an earlier life of the control plane, running or ended; undefined when nothing is left of it. */
  attachExec(machineId: string, executionId: string): Promise<RunningExec | undefined>;
  /** Removes the output files of a command. */
  forgetExec(machineId: string, executionId: string): Promise<void>;

  /**
   * Keeps the machine's disk as it is now, running or not, and resolves when it can be used. Processes of a running machine are held only
   * while what changed meanwhile is copied. Made once for an id; nothing is left of a snapshot that failed.
   * @throws DriverError no_disk, snapshot_failed.
   */
  snapshot(
    machineId: string,
    snapshotId: string,
    options: { signal: AbortSignal },
  ): Promise<{ sizeBytes: number }>;
  /** Machines that were made from it keep what they need of it. */
  forgetSnapshot(snapshotId: string): Promise<void>;
  /** @throws DriverError not_running. */
  usage(machine: { id: string; vcpu: number }): Promise<MachineUsage>;
  /**
   * Starts argv in a running machine as its root, in `cwd` (default "/").
   * @throws DriverError not_running, not_supported.
   */
  pipe(machineId: string, argv: readonly string[], options?: { cwd?: string }): Promise<PipedProgram>;

  /** Removes every machine and snapshot of this state folder that is not known; returns the machines' ids. */
  sweep(known: ReadonlySet<string>, knownSnapshots: ReadonlySet<string>): Promise<string[]>;
  /** Lets go of watchers and timers; machines keep running. */
  close(): Promise<void>;
}
