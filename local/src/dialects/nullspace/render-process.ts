/** Commands and terminals in the vendor's words. */
import type { ProcessLogs, ProcessRecord } from "../../engine/processes/api";
import { present } from "./present";

/** ProcessInfo: exactly its members, the vendor's client takes no others. */
export const processInfo = ({ pid, command, running }: ProcessRecord) => ({ pid, command, running });

/** What a reader of logs takes for an ended command whose code could not be learned; so does the vendor's client. */
export const unknownExitCode = -1;

/** ProcessLogs, and how many bytes at the start of each stream are kept no more (ours). */
export const processLogs = ({ process, stdout, stderr, output, ...dropped }: ProcessLogs) => ({
  ...{ stdout, stderr, output },
  ...(process.running ? {} : { exit_code: process.exitCode ?? unknownExitCode }),
  stdout_bytes: process.stdoutBytes,
  stderr_bytes: process.stderrBytes,
  stdout_dropped: dropped.stdoutDropped,
  stderr_dropped: dropped.stderrDropped,
  ...present({ error_code: process.errorCode, error_message: process.errorMessage }),
});

/** PtySessionInfo of a process on a terminal. */
export const ptySession = (process: ProcessRecord, terminal: NonNullable<ProcessRecord["terminal"]>) => ({
  session_id: terminal.sessionId,
  pid: process.pid,
  cols: terminal.cols,
  rows: terminal.rows,
  exec_id: process.executionId,
});
