export {
  AnswerError,
  ConnectionError,
  DeadlineError,
  MachinesError,
  NotFoundError,
  ProtocolError,
  UsageError,
} from "./errors";
export { DurationError, formatDuration, maxDurationSeconds, parseDuration } from "./duration";
export type { Deps } from "./deps";
export type { CallOptions, MutationOptions } from "./call";
export { DedalusClient, type DedalusClientOptions } from "./dedalus/client";
export type { ChangeOptions, CreateMachineParams, Machines, UpdateMachineParams } from "./dedalus/machines";
export type { CreateExecutionParams, Executions } from "./dedalus/executions";
export type { RunOptions, RunResult } from "./dedalus/run";
export type { WatchOptions } from "./dedalus/watch";
export type { Listing, PageParams } from "./dedalus/pages";
export type {
  Execution,
  ExecutionEvent,
  ExecutionOutput,
  Machine,
  MachineStatus,
  Page,
} from "./dedalus/wire";
export {
  allowedIn,
  can,
  desiredStates,
  executionStatuses,
  holds,
  isFinished,
  isPhase,
  isSettled,
  phases,
  type DesiredState,
  type ExecutionStatus,
  type MachineAction,
  type Open,
  type Phase,
} from "./dedalus/rules";
