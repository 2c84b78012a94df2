/**
 * The JSON frames of the Nullspace WebSockets, one zod schema for each, in wire names. Pure.
 * Requests are what a client sends (strict about types, unknown members are ignored, as the vendor's own server must
 * for its newer clients); answers are tolerant. Members marked "ours" are extensions of the embedded control plane: a
 * client that does not know them loses nothing, and a server that does not know them ignores them.
 */
import { z } from "zod";
import { lifecycleAudiences, lifecycleOperations, lifecycleStatuses } from "./rules";

/** Largest frame that a server takes, in bytes of text. */
export const maxFrameBytes = 1_048_576;

const text = z.string();
/** Correlation text that the client makes. */
const id = z.string().min(1).max(200);
const pid = z.int().positive();
const size = z.int().min(1).max(10_000);
const envs = z.record(z.string(), z.string());
/** Bytes of one output stream, counted from the start of the command. */
const offset = z.int().nonnegative();
const maybe = <T extends z.ZodType>(schema: T) => schema.nullish();

// ---------------------------------------------------------------- machine socket, client to server

export const execClientFrame = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("exec_start"),
    id,
    command: text.min(1),
    args: maybe(z.array(text)),
    /** Seconds; default 30. 0 is no limit (ours). */
    timeout_secs: maybe(z.int().nonnegative()),
    cwd: maybe(text),
    envs: maybe(envs),
    shell: maybe(z.boolean()),
  }),
  z.object({
    type: z.literal("exec_connect"),
    id,
    pid,
    /** Ours: go on from here instead of live only; answered by the same members of `exec_started`. */
    stdout_offset: maybe(offset),
    stderr_offset: maybe(offset),
  }),
  z.object({ type: z.literal("exec_stdin"), id, pid, data: text }),
  z.object({ type: z.literal("exec_stdin_close"), id, pid }),
  z.object({ type: z.literal("exec_kill"), id, pid }),
]);
export type ExecClientFrame = z.infer<typeof execClientFrame>;

export const ptyClientFrame = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("pty_start"),
    id,
    cols: maybe(size),
    rows: maybe(size),
    cwd: maybe(text),
    envs: maybe(envs),
  }),
  /** Exactly one of `session_id` and `pid`. */
  z.object({
    type: z.literal("pty_connect"),
    id,
    session_id: maybe(text),
    pid: maybe(pid),
    /** Ours: go on from this byte of the output instead of live only; answered by the same member of `pty_started`. */
    offset: maybe(offset),
  }),
  /** Exactly one of `data_base64` and `data`. */
  z.object({
    type: z.literal("pty_input"),
    id,
    session_id: text,
    data_base64: maybe(text),
    data: maybe(text),
  }),
  z.object({ type: z.literal("pty_resize"), id, session_id: text, cols: size, rows: size }),
  z.object({ type: z.literal("pty_kill"), id, session_id: text }),
]);
export type PtyClientFrame = z.infer<typeof ptyClientFrame>;

export const fileWatchFrame = z.object({
  type: z.literal("file_watch"),
  id,
  path: text.min(1),
  user: maybe(text),
  recursive: maybe(z.boolean()),
  timeout_secs: maybe(z.number().nonnegative()),
});
export type FileWatchFrame = z.infer<typeof fileWatchFrame>;

// ---------------------------------------------------------------- machine socket, server to client

const answerId = z.string();
export const machineServerFrame = z.discriminatedUnion("type", [
  z.looseObject({
    type: z.literal("exec_started"),
    id: answerId,
    pid: z.number(),
    /** Ours: where the output that follows begins. Absent: live only, from an unknown place. */
    stdout_offset: maybe(offset),
    stderr_offset: maybe(offset),
  }),
  /** `offset` is ours: bytes of this stream before `data`, as the command wrote them. */
  z.looseObject({
    type: z.literal("exec_stdout"),
    id: answerId,
    pid: z.number(),
    data: text,
    offset: maybe(offset),
    /** Ours: bytes of the command that `data` stands for; differs from its length only where UTF-8 was broken. */
    bytes: maybe(offset),
  }),
  z.looseObject({
    type: z.literal("exec_stderr"),
    id: answerId,
    pid: z.number(),
    data: text,
    offset: maybe(offset),
    bytes: maybe(offset),
  }),
  /** Ours: these bytes of a command's output, or a terminal's, can be had no more. */
  z.looseObject({
    type: z.literal("exec_gap"),
    id: answerId,
    pid: z.number(),
    stream: z.enum(["stdout", "stderr"]),
    offset,
    bytes: offset,
  }),
  z.looseObject({
    type: z.literal("exec_exit"),
    id: answerId,
    pid: z.number(),
    exit_code: z.number(),
    /** Ours: bytes that the command wrote in all. */
    stdout_bytes: maybe(offset),
    stderr_bytes: maybe(offset),
    /** Ours: set when it did not end by itself; an `error` frame came before. */
    error_code: maybe(text),
  }),
  z.looseObject({
    type: z.literal("pty_started"),
    id: answerId,
    session_id: text,
    pid: z.number(),
    cols: maybe(z.number()),
    rows: maybe(z.number()),
    exec_id: maybe(text),
    /** Ours: where the output that follows begins. */
    offset: maybe(offset),
  }),
  z.looseObject({
    type: z.literal("pty_output"),
    id: answerId,
    session_id: text,
    /** Lossy text; `data_base64` is what the terminal wrote. */
    data: maybe(text),
    data_base64: maybe(text),
    /** Ours: bytes of the output before these. */
    offset: maybe(offset),
  }),
  z.looseObject({ type: z.literal("pty_exited"), id: answerId, session_id: text, exit_code: z.number() }),
  z.looseObject({ type: z.literal("file_watch_started"), id: answerId }),
  z.looseObject({
    type: z.literal("file_event"),
    id: answerId,
    event: text,
    name: maybe(text),
    path: maybe(text),
  }),
  z.looseObject({ type: z.literal("error"), id: maybe(answerId), message: text, code: maybe(text) }),
]);
export type MachineServerFrame = z.infer<typeof machineServerFrame>;

// ---------------------------------------------------------------- lifecycle socket

export const subscribeFrame = z.object({
  type: z.literal("subscribe"),
  machine_id: maybe(text),
  snapshot_id: maybe(text),
  operation: maybe(z.enum(lifecycleOperations)),
  status: maybe(z.enum(lifecycleStatuses)),
  audience: maybe(z.enum(lifecycleAudiences)),
  live_only: maybe(z.boolean()),
  /** Replay begins strictly after this event. */
  after_event_id: maybe(text),
  /** Most events of one replay; default 100. With `after_event_id` the rest follows until caught up. */
  replay_limit: maybe(z.int().min(0).max(10_000)),
  /** Pairs that must all stand in an event's metadata. */
  metadata: maybe(z.record(z.string(), z.unknown())),
});
export type SubscribeFrame = z.infer<typeof subscribeFrame>;

export const lifecycleServerFrame = z.discriminatedUnion("type", [
  z.looseObject({
    type: z.literal("subscribed"),
    subscription: z.record(z.string(), z.unknown()).optional(),
    reconnect_mode: z.string().optional(),
    /** Ours: all that came after `after_event_id` is replayed, however much it is. */
    replays_all: z.boolean().optional(),
  }),
  z.looseObject({ type: z.literal("event"), event: z.record(z.string(), z.unknown()) }),
  z.looseObject({ type: z.literal("error"), message: text, code: maybe(text) }),
]);
export type LifecycleServerFrame = z.infer<typeof lifecycleServerFrame>;

// ---------------------------------------------------------------- monitor socket

export const monitorClientFrame = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("monitor_subscribe"),
    id,
    interval_ms: maybe(z.int().min(100).max(3_600_000)),
    include_processes: maybe(z.boolean()),
  }),
  z.object({ type: z.literal("monitor_unsubscribe"), id }),
]);
export type MonitorClientFrame = z.infer<typeof monitorClientFrame>;
