/**
 * A machine with one scripted terminal behind real sockets on 127.0.0.1. It writes its pieces one after another whether
 * somebody listens or not; connections are cut where the script says.
 */
import { setImmediate as soon } from "node:timers/promises";
import type { WebSocket } from "ws";
import { rawOf, socketServer, type Script, type SocketServer } from "../socket-server";

export interface TerminalScript {
  pieces: Buffer[];
  exitCode?: number;
  /**
   * `frames`: the service says where each frame begins; `start`: only where a connection goes on. Otherwise it goes on live,
   * and says nothing.
   */
  counts?: "frames" | "start" | undefined;
  /** Bytes before the place asked for that come again. */
  repeats?: number;
  /** Bytes that are kept, newest first; what is older cannot be had. */
  keepBytes?: number;
  /** Frames after which the next connections end, the pieces written until another comes, and whether it is within a frame. */
  cuts?: { after: number; away?: number; within?: boolean }[];
  /** After this many pieces it waits for input. */
  holdAt?: number;
  script?: Script;
}

export interface FakeTerminal extends SocketServer {
  /** All frames of the client, in order. */
  frames: (Record<string, unknown> & { type: string })[];
  /** What was typed. */
  typed(): string;
}

export const session = { session_id: "pty_one", pid: 77 };

export async function fakeTerminal(script: TerminalScript): Promise<FakeTerminal> {
  const { pieces, exitCode = 0, counts, repeats = 0, keepBytes = Infinity } = script;
  const all = Buffer.concat(pieces);
  const input: Buffer[] = [];
  let at = 0;
  let size = 0;
  let held = script.holdAt ?? Infinity;
  let connections = 0;
  let wakeUp = (): void => undefined;
  const write = (): Buffer | undefined => {
    const piece = at < held ? pieces[at] : undefined;
    if (piece === undefined) return undefined;
    at++;
    size += piece.length;
    return piece;
  };

  const serve = (ws: WebSocket): void => {
    const cut = script.cuts?.[connections++];
    let sent = 0;
    let isCut = false;
    let id = "";
    const send = (frame: Record<string, unknown>): void => {
      if (isCut || ws.readyState !== ws.OPEN) return;
      if (cut === undefined || sent++ < cut.after) return ws.send(JSON.stringify({ id, ...frame }));
      isCut = true;
      if (cut.within) rawOf(ws).write(Buffer.from([0x81, 100, 0x7b]), () => rawOf(ws).destroy());
      else rawOf(ws).destroy();
      for (let away = cut.away ?? 0; away > 0; away--) write();
    };
    const output = (data: Buffer, offset: number): void => {
      const where = counts === "frames" ? { offset } : {};
      send({
        type: "pty_output",
        ...session,
        data: data.toString(),
        data_base64: data.toString("base64"),
        ...where,
      });
    };
    const goOn = (asked: unknown): void => {
      if (counts === undefined || typeof asked !== "number") {
        send({ type: "pty_started", ...session, ...(counts ? { offset: size } : {}) });
        return;
      }
      const from = Math.max(0, asked - repeats);
      const kept = Math.max(0, size - keepBytes);
      send({ type: "pty_started", ...session, offset: from });
      if (from < kept) {
        const gap = { stream: "stdout", offset: from, bytes: kept - from };
        send({ type: "exec_gap", pid: session.pid, ...gap });
      }
      const begin = Math.max(from, kept);
      if (size > begin) output(all.subarray(begin, size), begin);
    };
    const pump = async (): Promise<void> => {
      while (!isCut && ws.readyState === ws.OPEN) {
        const before = size;
        const piece = write();
        if (piece) output(piece, before);
        else if (at >= pieces.length) return send({ type: "pty_exited", ...session, exit_code: exitCode });
        else await new Promise<void>((resolve) => (wakeUp = resolve));
        if (at % 3 === 0) await soon();
      }
    };
    ws.on("message", (data: Buffer) => {
      const frame = JSON.parse(data.toString()) as Record<string, unknown> & { type: string; id: string };
      fake.frames.push(frame);
      if (frame.type === "pty_input") {
        input.push(Buffer.from(frame["data_base64"] as string, "base64"));
        held = Infinity;
        return wakeUp();
      }
      ({ id } = frame);
      goOn(frame.type === "pty_start" ? 0 : frame["offset"]);
      void pump();
    });
    ws.on("close", () => wakeUp());
  };
  const server = await socketServer({ ...script.script, socket: script.script?.socket ?? serve });
  const fake: FakeTerminal = Object.assign(server, {
    frames: [],
    typed: () => Buffer.concat(input).toString(),
  });
  return fake;
}
