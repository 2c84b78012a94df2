/**
 * A machine that runs scripted commands, behind real sockets and real HTTP on 127.0.0.1. A command writes its pieces one
 * after another whether somebody listens or not; connections are cut where the script says.
 */
import type { ServerResponse } from "node:http";
import { setImmediate as soon } from "node:timers/promises";
import type { WebSocket } from "ws";
import { rawOf, socketServer, type Script, type SocketServer } from "../socket-server";

export type Stream = "stdout" | "stderr";
export interface Piece {
  stream: Stream;
  data: string;
}

/** Where one connection ends, and what the command writes before the next one comes. */
export interface Cut {
  /** Frames that go out whole. */
  after: number;
  /** Ends within the next frame instead of before it. */
  within?: boolean;
  /** Pieces written while nobody is connected. */
  away?: number;
  /** A close frame instead of a broken connection. */
  code?: number;
}

export interface Machine {
  pieces: Piece[];
  exitCode?: number;
  /** The service counts bytes and goes on where the client was. */
  counts?: boolean;
  cuts?: Cut[];
  /** Bytes of each stream that are kept, newest first; what is older cannot be had. */
  keepBytes?: number;
  /** The logs name no exit code, ever. */
  logsHideExit?: boolean;
  /** Status of the answer to logs and lists, in place of them. */
  restStatus?: number;
  /** So many connections break when standard input is closed on them, before that is read. */
  stdinCuts?: number;
  /** After this many pieces the command waits for `go`. */
  holdAt?: number;
  script?: Script;
}

export interface FakeMachine extends SocketServer {
  starts: Record<string, unknown>[];
  connects: Record<string, unknown>[];
  others: Record<string, unknown>[];
  kills: number;
  go(): void;
  /** Pieces written so far. */
  written(): number;
}

const pid = 4242;

export async function fakeMachine(machine: Machine): Promise<FakeMachine> {
  const texts: Record<Stream, Buffer[]> = { stdout: [], stderr: [] };
  const size: Record<Stream, number> = { stdout: 0, stderr: 0 };
  const { pieces, exitCode = 0 } = machine;
  let written = 0;
  let killed = false;
  let held = machine.holdAt ?? Infinity;
  let wakeUp = (): void => undefined;
  let connections = 0;
  let stdinCuts = machine.stdinCuts ?? 0;
  const ended = (): boolean => killed || written >= pieces.length;
  const write = (): Piece | undefined => {
    const piece = pieces[written];
    if (piece === undefined || killed || written >= held) return undefined;
    written++;
    const bytes = Buffer.from(piece.data);
    texts[piece.stream].push(bytes);
    size[piece.stream] += bytes.length;
    return piece;
  };

  const kept = (stream: Stream): { from: number; data: Buffer } => {
    const all = Buffer.concat(texts[stream]);
    let from = Math.max(0, all.length - (machine.keepBytes ?? Infinity));
    while (((all[from] ?? 0) & 0xc0) === 0x80) from++;
    return { from, data: all.subarray(from) };
  };

  const serve = (ws: WebSocket): void => {
    const cut = machine.cuts?.[connections++];
    let sent = 0;
    let isCut = false;
    let id = "";
    const send = (frame: Record<string, unknown>): void => {
      if (isCut || ws.readyState !== ws.OPEN) return;
      const body = JSON.stringify({ id, ...frame });
      if (cut !== undefined && sent >= cut.after) {
        isCut = true;
        if (cut.code !== undefined) ws.close(cut.code, "as the script says");
        else if (cut.within) rawOf(ws).write(halfFrame(body), () => rawOf(ws).destroy());
        else rawOf(ws).destroy();
        for (let away = cut.away ?? 0; away > 0; away--) write();
        return;
      }
      sent++;
      ws.send(body);
    };
    const pump = async (begin: Record<Stream, number> | undefined): Promise<void> => {
      const at = begin ?? { stdout: 0, stderr: 0 };
      if (begin) {
        for (const stream of ["stdout", "stderr"] as const) {
          const { from, data } = kept(stream);
          if (at[stream] < from) {
            send({ type: "exec_gap", pid, stream, offset: at[stream], bytes: from - at[stream] });
            at[stream] = from;
          }
          const rest = data.subarray(at[stream] - from);
          if (rest.length > 0)
            send({
              type: `exec_${stream}`,
              pid,
              data: rest.toString(),
              offset: at[stream],
              bytes: rest.length,
            });
          at[stream] += rest.length;
        }
      }
      while (!isCut && ws.readyState === ws.OPEN) {
        const before = { ...size };
        const piece = write();
        if (piece) {
          const counted = machine.counts ? { offset: before[piece.stream] } : {};
          send({ type: `exec_${piece.stream}`, pid, data: piece.data, ...counted });
        } else if (ended()) {
          const totals = { stdout_bytes: before.stdout, stderr_bytes: before.stderr };
          send({
            type: "exec_exit",
            pid,
            exit_code: killed ? 137 : exitCode,
            ...(machine.counts ? totals : {}),
          });
          return;
        } else await new Promise<void>((resolve) => (wakeUp = resolve));
        if (written % 4 === 0) await soon();
        while (ws.bufferedAmount > 100_000 && ws.readyState === ws.OPEN) await soon();
      }
    };
    ws.on("message", (data: Buffer) => {
      const frame = JSON.parse(data.toString()) as Record<string, unknown> & { type: string; id: string };
      id = frame.id;
      if (frame.type === "exec_start") {
        fake.starts.push(frame);
        send({ type: "exec_started", pid });
        void pump(undefined);
      } else if (frame.type === "exec_connect") {
        fake.connects.push(frame);
        if (frame["pid"] !== pid)
          return send({ type: "error", message: "no such process", code: "process_not_found" });
        const from = machine.counts
          ? {
              stdout: Number(frame["stdout_offset"] ?? size.stdout),
              stderr: Number(frame["stderr_offset"] ?? size.stderr),
            }
          : undefined;
        const offsets = from ? { stdout_offset: from.stdout, stderr_offset: from.stderr } : {};
        send({ type: "exec_started", pid, ...offsets });
        void pump(from);
      } else if (frame.type === "exec_stdin_close" && stdinCuts-- > 0) rawOf(ws).destroy();
      else fake.others.push(frame);
    });
    ws.on("close", () => wakeUp());
  };

  const rest = (url: string, response: ServerResponse): void => {
    if (machine.restStatus !== undefined)
      return answer(response, machine.restStatus, { error: "no", code: "not_found" });
    if (url.endsWith("/kill")) {
      killed = true;
      fake.kills++;
      wakeUp();
      return answer(response, 204, undefined);
    }
    if (url.endsWith("/exec")) return answer(response, 200, { pid });
    if (!/\/processes(\/4242\/logs)?$/.test(url))
      return answer(response, 404, { error: "no", code: "process_not_found" });
    if (url.endsWith("/processes"))
      return answer(response, 200, [{ pid, command: "a b", running: !ended() }]);
    const [stdout, stderr] = [kept("stdout").data.toString(), kept("stderr").data.toString()];
    const exit = ended() && machine.logsHideExit !== true ? { exit_code: killed ? 137 : exitCode } : {};
    answer(response, 200, { stdout, stderr, output: stdout + stderr, ...exit });
  };

  const server = await socketServer({
    ...machine.script,
    socket: serve,
    http: (request, response) => rest(request.url ?? "", response),
  });
  const fake: FakeMachine = Object.assign(server, {
    starts: [],
    connects: [],
    others: [],
    kills: 0,
    go: () => {
      held = Infinity;
      wakeUp();
    },
    written: () => written,
  });
  return fake;
}

function answer(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(body === undefined ? undefined : JSON.stringify(body));
}

/** The head of a frame and half of its body. */
function halfFrame(body: string): Buffer {
  const bytes = Buffer.from(body);
  const head =
    bytes.length < 126
      ? Buffer.from([0x81, bytes.length])
      : Buffer.from([0x81, 126, bytes.length >> 8, bytes.length & 255]);
  return Buffer.concat([head, bytes.subarray(0, bytes.length >> 1)]);
}
