/** What the service sends on the terminal channel. Pure. */
import { machineServerFrame } from "./frames";
import { readJson, unreadable } from "./exec-frames";
import type { PtyInfo } from "./pty-rest";

export type PtyFrame =
  | { kind: "started"; id: string; terminal: PtyInfo; offset: number | undefined }
  | { kind: "output"; id: string; data: Buffer; offset: number | undefined }
  | { kind: "gap"; id: string; offset: number; bytes: number }
  | { kind: "exit"; id: string; exitCode: number }
  | { kind: "error"; id: string | undefined; message: string; code: string | undefined }
  /** A type that this version does not know. */
  | { kind: "other"; id: undefined };

const known = new Set(["pty_started", "pty_output", "pty_exited", "exec_exit", "exec_gap", "error"]);

/** @throws ProtocolError `unreadable_frame` */
export function readPtyFrame(text: string): PtyFrame {
  const frame = readJson(text);
  const other: PtyFrame = { kind: "other", id: undefined };
  if (typeof frame.type !== "string" || !known.has(frame.type)) return other;
  const parsed = machineServerFrame.safeParse(frame);
  if (!parsed.success) throw unreadable(text);
  const { data } = parsed;
  switch (data.type) {
    case "pty_started": {
      const { id, session_id: sessionId, pid, cols, rows } = data;
      const size = typeof cols === "number" && typeof rows === "number" ? { cols, rows } : {};
      return { kind: "started", id, terminal: { sessionId, pid, ...size }, offset: data.offset ?? undefined };
    }
    case "pty_output": {
      const bytes =
        typeof data.data_base64 === "string"
          ? Buffer.from(data.data_base64, "base64")
          : Buffer.from(data.data ?? "");
      return { kind: "output", id: data.id, data: bytes, offset: data.offset ?? undefined };
    }
    case "exec_gap":
      return { kind: "gap", id: data.id, offset: data.offset, bytes: data.bytes };
    case "pty_exited":
    case "exec_exit":
      return { kind: "exit", id: data.id, exitCode: data.exit_code };
    case "error": {
      const { message } = data;
      return {
        kind: "error",
        id: data.id ?? undefined,
        message,
        code: data.code?.toLowerCase() ?? undefined,
      };
    }
    default:
      return other;
  }
}
