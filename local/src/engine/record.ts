/** What the engine knows of a machine and of an execution: the rows that every dialect renders. */
import type { DesiredState, ExecutionStatus, Phase } from "@pulumi-machines/sdk/dedalus/rules";

export interface MachineSize {
  /** vCPUs, in quarters. */
  vcpu: number;
  memoryMiB: number;
  storageGiB: number;
}

export interface MachineRecord extends MachineSize {
  /** Without a dialect's prefix: lower case letters and digits. */
  id: string;
  /** Seconds without activity before the machine sleeps by itself; 0 is never. */
  autosleepSeconds: number;
  desiredState: DesiredState;
  phase: Phase;
  reason: string;
  lastError: string | null;
  retryable: boolean;
  /** Counts every change of this machine, from 1. */
  revision: number;
  /** ISO 8601, like every `...At`. */
  lastTransitionAt: string;
  lastProgressAt: string;
  createdAt: string;
  lastActivityAt: string;
  lastWakeAt: string | null;
}

export interface ExecutionRecord {
  id: string;
  machineId: string;
  status: ExecutionStatus;
  command: string[];
  cwd: string | null;
  /** Names only: values are kept until the command has started, then dropped. */
  envKeys: string[];
  timeoutMs: number | null;
  createdAt: string;
  startedAt: string | null;
  completedAt: string | null;
  expiresAt: string | null;
  exitCode: number | null;
  signal: number | null;
  errorCode: string | null;
  errorMessage: string | null;
  /** Bytes that the command wrote, kept or not. */
  stdoutBytes: number;
  stderrBytes: number;
  stdoutTruncated: boolean;
  stderrTruncated: boolean;
}

export interface ExecutionEventRecord {
  sequence: number;
  type: "lifecycle" | "stdout" | "stderr";
  at: string;
  chunk?: string;
  status?: ExecutionStatus;
  exitCode?: number;
  signal?: number;
  errorCode?: string;
  errorMessage?: string;
}
