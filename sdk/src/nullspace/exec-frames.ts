/** Reads what the service sends on the exec channel. Cheap checks for output, of which there is much; a schema for the rest. */
import { z } from "zod";
import { ProtocolError } from "../errors";
import { machineServerFrame } from "./frames";
import type { OutputStream } from "./exec-output";

export type ExecFrame =
  | {
      kind: "output";
      stream: OutputStream;
      data: string;
      offset: number | undefined;
      bytes: number | undefined;
    }
  | { kind: "gap"; stream: OutputStream; offset: number; bytes: number }
  | { kind: "started"; pid: number; stdoutOffset: number | undefined; stderrOffset: number | undefined }
  | { kind: "exit"; exitCode: number; stdoutBytes: number | undefined; stderrBytes: number | undefined }
  | { kind: "error"; id: string | undefined; message: string; code: string | undefined }
  /** A type that this version does not know. */
  | { kind: "other" };

const gapFrame = z.looseObject({
  type: z.literal("exec_gap"),
  stream: z.enum(["stdout", "stderr"]),
  offset: z.int().nonnegative(),
  bytes: z.int().nonnegative(),
});

const known = new Set(["exec_started", "exec_exit", "error"]);
const other: ExecFrame = { kind: "other" };

/** @throws ProtocolError `unreadable_frame` */
export function readExecFrame(text: string): ExecFrame {
  const frame = readJson(text);
  const { type } = frame;
  if (type === "exec_stdout" || type === "exec_stderr") {
    if (typeof frame.data !== "string") throw unreadable(text);
    return {
      kind: "output",
      stream: type === "exec_stdout" ? "stdout" : "stderr",
      data: frame.data,
      offset: count(frame.offset),
      bytes: count(frame.bytes),
    };
  }
  if (type === "exec_gap") {
    const gap = gapFrame.safeParse(frame);
    if (!gap.success) throw unreadable(text);
    const { stream, offset, bytes } = gap.data;
    return { kind: "gap", stream, offset, bytes };
  }
  return typeof type === "string" && known.has(type) ? readRare(text, frame) : other;
}

function readRare(text: string, frame: unknown): ExecFrame {
  const parsed = machineServerFrame.safeParse(frame);
  if (!parsed.success) throw unreadable(text);
  const { data } = parsed;
  switch (data.type) {
    case "exec_started":
      return {
        kind: "started",
        pid: data.pid,
        stdoutOffset: data.stdout_offset ?? undefined,
        stderrOffset: data.stderr_offset ?? undefined,
      };
    case "exec_exit":
      return {
        kind: "exit",
        exitCode: data.exit_code,
        stdoutBytes: data.stdout_bytes ?? undefined,
        stderrBytes: data.stderr_bytes ?? undefined,
      };
    case "error":
      return {
        kind: "error",
        id: data.id ?? undefined,
        message: data.message,
        code: data.code?.toLowerCase() ?? undefined,
      };
    default:
      return other;
  }
}

/** A frame of any channel: one JSON object. @throws ProtocolError `unreadable_frame` */
export function readJson(text: string): Record<string, unknown> {
  let frame: unknown;
  try {
    frame = JSON.parse(text);
  } catch {
    throw unreadable(text);
  }
  if (typeof frame !== "object" || frame === null || Array.isArray(frame)) throw unreadable(text);
  return frame as Record<string, unknown>;
}

const count = (value: unknown): number | undefined => (typeof value === "number" ? value : undefined);

/** The text itself may be somebody's output: only its length is told. */
export const unreadable = (text: string): ProtocolError =>
  new ProtocolError({
    message: `the service sent a frame of ${String(text.length)} characters that is not what the API documents`,
    code: "unreadable_frame",
  });
