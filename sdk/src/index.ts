export {
  AnswerError,
  AuthError,
  BuildError,
  ConflictError,
  ConnectionError,
  DeadlineError,
  FileUploadError,
  MachinesError,
  NotFoundError,
  NotImplementedError,
  PermissionError,
  ProtocolError,
  QuotaExceededError,
  RateLimitError,
  UsageError,
  WebhookError,
} from "./errors";
export { DurationError, formatDuration, maxDurationSeconds, parseDuration } from "./duration";
export type { Deps } from "./deps";
export type { CallOptions, MutationOptions } from "./call";
export { DedalusClient, type DedalusClientOptions } from "./dedalus/client";
export type { ChangeOptions, CreateMachineParams, Machines, UpdateMachineParams } from "./dedalus/machines";
export type { CreateExecutionParams, Executions } from "./dedalus/executions";
export type { FollowExecutionOptions, RunOptions, RunResult } from "./dedalus/run";
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
export { LocalClient, type LocalClientOptions } from "./local/client";
export type { CreateLocalMachineParams, LocalMachines, SetLocalTimeoutParams } from "./local/machines";
export type { CreateLocalSnapshotParams, LocalSnapshots } from "./local/snapshots";
export type { Pages } from "./listing";
export { NullspaceClient, type NullspaceClientOptions } from "./nullspace/client";
export type {
  ConnectParams as NullspaceConnectParams,
  Machines as NullspaceMachines,
  SetTimeoutParams as NullspaceSetTimeoutParams,
} from "./nullspace/machines";
export type {
  CreateFromSnapshotParams as NullspaceCreateFromSnapshotParams,
  CreateFromTemplateParams as NullspaceCreateFromTemplateParams,
  CreateMachineParams as NullspaceCreateMachineParams,
  EgressPolicy,
  MachinePolicies,
} from "./nullspace/machine-params";
export type {
  ListMachinesParams as NullspaceListMachinesParams,
  MachineField as NullspaceMachineField,
  MachineListing as NullspaceMachineListing,
  MachinePage as NullspaceMachinePage,
} from "./nullspace/machine-list";
export type { DestroyedMachine, Lease, MachineHost, MachineMetrics } from "./nullspace/machine-answers";
export type { KeepAlive, KeepAliveOptions } from "./nullspace/keep-alive";
export type { ListSnapshotsParams, SnapshotListing, Snapshots } from "./nullspace/snapshots";
export type { PreviewGrant, PreviewReadiness, PreviewUrl, ProxyTarget } from "./nullspace/preview-wire";
export type { Previews, ProxyTargetParams, ReadinessParams, SignedUrlParams } from "./nullspace/previews";
export type {
  CommandParams,
  Commands,
  ReattachOptions,
  RunCommandOptions,
  StreamCommandOptions,
} from "./nullspace/commands";
export type { CreateTerminalOptions, OpenTerminalOptions, Pty, TerminalName } from "./nullspace/pty";
export type { PtyInfo, TerminalSize } from "./nullspace/pty-rest";
export type { TerminalGap, TerminalOutput } from "./nullspace/pty-session";
export type { Terminal, TerminalResult } from "./nullspace/terminal";
export type { MonitorItem, MonitorParams } from "./nullspace/monitor";
export { CommandError } from "./nullspace/command-error";
export type { CommandHandle, FollowOptions } from "./nullspace/command-handle";
export type { CommandResult, CommandStream, StreamOptions } from "./nullspace/command-stream";
export type { CommandOutput, OutputGap } from "./nullspace/exec-output";
export type { ProcessInfo, ProcessLogs } from "./nullspace/exec-rest";
export type {
  FileOptions,
  Files,
  ReadOptions,
  TransferOptions,
  TransferProgress,
  UnpackOptions,
  WriteOptions,
} from "./nullspace/files";
export type { FileChange, FileWatch, WatchOptions as WatchFilesOptions } from "./nullspace/file-watch";
export type { FileDownload } from "./nullspace/file-download";
export type { FileSource } from "./nullspace/file-source";
export type {
  CompletedUpload,
  FileInfo,
  FileMatch,
  ReplaceResult,
  UploadSession,
} from "./nullspace/file-wire";
export type { CreateUploadParams, Uploads } from "./nullspace/uploads";
export type { Lifecycle } from "./nullspace/lifecycle";
export type {
  AccountHistoryParams,
  HistoryParams,
  LifecycleListing,
  LifecyclePage,
} from "./nullspace/lifecycle-history";
export type { LifecycleFilter } from "./nullspace/lifecycle-filter";
export type { LifecycleStreamParams } from "./nullspace/lifecycle-stream";
export type { LifecycleSubscription, SubscribeParams } from "./nullspace/lifecycle-subscription";
export type {
  CreateWebhookParams,
  DeliveryDetail,
  DeliveryListing,
  ListDeliveriesParams,
  UpdateWebhookParams,
  WebhookListing,
  Webhooks,
} from "./nullspace/webhooks";
export {
  signWebhook,
  verifyWebhook,
  type VerifiedWebhook,
  type VerifyParams,
} from "./nullspace/webhook-signature";
export type { Health } from "./nullspace/health";
export type {
  Delivery,
  DeliveryAttempt,
  LifecycleEvent,
  MachineConfig,
  MachineFields,
  NullspaceMachine,
  Snapshot,
  Webhook,
} from "./nullspace/wire";
export {
  actorKinds,
  deliveryStatuses,
  lifecycleOperations,
  lifecycleStatuses,
  machineStates,
  timeoutActions,
  type ActorKind,
  type DeliveryStatus,
  type LifecycleOperation,
  type LifecycleStatus,
  type MachineState,
  type TimeoutAction,
} from "./nullspace/rules";
