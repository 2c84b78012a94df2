/**
 * Commands and terminals as their callers hold them: started at once, fed, followed and ended by a pid. Each is an
 * execution of the engine, so that what one dialect starts the other lists.
 */
import type { TerminalSize } from "../driver";

export interface NewProcess {
  /** argv. */
  command: string[];
  /** As the user wrote it, for lists; default: argv, joined. */
  display?: string;
  /** Default: the machine's. */
  cwd?: string;
  /** On top of the machine's own variables. */
  env?: Record<string, string>;
  /** After which it is killed. */
  timeoutMs?: number;
  /** Default: closed. Always open on a terminal. */
  stdin?: "open" | "closed";
  terminal?: TerminalSize;
}

export interface ProcessRecord {
  /** Ours: unique among all commands of this control plane and never used again, so that a stale handle hits nobody. */
  pid: number;
  /** The id of its execution. */
  executionId: string;
  machineId: string;
  command: string;
  running: boolean;
  /** As a shell says it, 128 + n by a signal; null while it runs, and when it could not be learned. */
  exitCode: number | null;
  /** Set when it did not end by itself: EXECUTION_TIMEOUT, MACHINE_STOPPED, EXECUTION_LOST, EXECUTION_START_FAILED. */
  errorCode: string | null;
  errorMessage: string | null;
  /** Bytes that it wrote, kept or not. */
  stdoutBytes: number;
  stderrBytes: number;
  terminal: (TerminalSize & { sessionId: string }) | null;
}

export type OutputStream = "stdout" | "stderr";

/** One thing that a command did, in order within its stream. */
export type ProcessEvent =
  /**
   * `from` counts bytes from the command's start. Never cuts a UTF-8 character in two, at most 64 KiB. With `hasMore` the next
   * one has been read already and comes at once: a reader may take them together. They are few.
   */
  | { type: "output"; stream: OutputStream; from: number; data: Buffer; hasMore?: true }
  /** These bytes were dropped before they could be read. */
  | { type: "gap"; stream: OutputStream; from: number; bytes: number }
  /** The last event. */
  | { type: "exit"; process: ProcessRecord };

export interface FollowProcess {
  /** Where to go on in each stream, in bytes; default "live": what is written from now on. */
  from?: { stdout: number; stderr: number } | "live";
  /** Ends it at once and quietly: the last event is then no `exit`. So does the end of the control plane. */
  signal: AbortSignal;
  /** An event's bytes hold only until the next one is asked for: for whoever reads much and copies it anyway. */
  overwrites?: boolean;
}

export interface ProcessOutput {
  /** Where each stream begins. */
  readonly from: { stdout: number; stderr: number };
  /** Pulled: a slow reader holds nothing in memory; the oldest output that it has not read is kept up to a bound. */
  readonly events: AsyncIterable<ProcessEvent>;
}

export interface ProcessLogs {
  process: ProcessRecord;
  /** What is kept; text that was dropped is named by a marker line in its place. */
  stdout: string;
  stderr: string;
  /** Both in the order in which they were read. */
  output: string;
  /** Bytes at the start of each stream that are kept no more. */
  stdoutDropped: number;
  stderrDropped: number;
}

export interface Processes {
  /**
   * Wakes the machine where its lease says so, and resolves when the command runs.
   * @throws Refusal machine_not_found, machine_not_running, process_failed (it could not be started), invalid_argument.
   */
  start(machineId: string, spec: NewProcess, signal: AbortSignal): Promise<ProcessRecord>;
  /** @throws Refusal machine_not_found, process_not_found. */
  get(machineId: string, pid: number): Promise<ProcessRecord>;
  /** Those that run and those whose output is kept, newest first. */
  list(machineId: string): Promise<ProcessRecord[]>;
  /** Resolves when it has ended. @throws Refusal process_not_found; the signal's reason. */
  ended(machineId: string, pid: number, signal: AbortSignal): Promise<ProcessRecord>;
  /** @throws Refusal process_not_found. */
  follow(machineId: string, pid: number, options: FollowProcess): Promise<ProcessOutput>;
  /** @throws Refusal process_not_found. */
  logs(machineId: string, pid: number): Promise<ProcessLogs>;
  /** Resolves when the command's pipe has taken it. @throws Refusal process_not_found, stdin_closed. */
  writeStdin(machineId: string, pid: number, data: Uint8Array, signal: AbortSignal): Promise<void>;
  /** @throws Refusal process_not_found, stdin_closed. */
  closeStdin(machineId: string, pid: number): Promise<void>;
  /** The whole tree; resolves when it is gone. A no-op for one that has ended. @throws Refusal process_not_found. */
  kill(machineId: string, pid: number): Promise<void>;
  /** @throws Refusal process_not_found, not_a_terminal. */
  resize(machineId: string, pid: number, size: TerminalSize): Promise<void>;
  /** The terminal with this session id, running or ended. @throws Refusal process_not_found. */
  terminal(machineId: string, sessionId: string): Promise<ProcessRecord>;
}
