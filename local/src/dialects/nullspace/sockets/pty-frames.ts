/** Terminals over a machine's socket. As a command, a terminal runs on when its socket is lost. */
import type { PtyClientFrame } from "@pulumi-machines/sdk/nullspace/frames";
import { Refusal } from "../../../engine/control-plane";
import type { ProcessRecord } from "../../../engine/processes/api";
import type { Violation } from "../../../http-errors";
import { violation } from "../../../http-violations";
import { cwdViolations } from "../cwd";
import { ptySession } from "../render-process";
import { envsViolations } from "../requests";
import { living } from "../transitions";
import type { MachineSocket } from "./machine-socket";
import type { Frame } from "./parse-frame";
import { pipeOutput } from "./process-output";

type Start = Extract<PtyClientFrame, { type: "pty_start" }>;
type Connect = Extract<PtyClientFrame, { type: "pty_connect" }>;
type Input = Extract<PtyClientFrame, { type: "pty_input" }>;
type Resize = Extract<PtyClientFrame, { type: "pty_resize" }>;

/** The vendor's. */
const defaultSize = { cols: 120, rows: 30 };
const shell = ["/bin/sh", "-c", "if command -v bash >/dev/null 2>&1; then exec bash -l; else exec sh; fi"];
const ofTerminals = { TERM: "xterm-256color" };
const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** What the schema cannot say. */
export function ptyFrameViolations(frame: Frame): Violation[] {
  switch (frame["type"]) {
    case "pty_start":
      return [...cwdViolations(frame["cwd"], "frame.cwd"), ...envsViolations("frame.envs", frame["envs"])];
    case "pty_connect":
      return exactlyOne(frame, "session_id", "pid");
    case "pty_input": {
      const { data_base64: data } = frame;
      const isWrong = typeof data === "string" && !base64.test(data);
      return [
        ...exactlyOne(frame, "data_base64", "data"),
        ...(isWrong ? [violation("frame.data_base64", "must be base64")] : []),
      ];
    }
    default:
      return [];
  }
}

const exactlyOne = (frame: Frame, one: string, other: string): Violation[] => {
  const given = [one, other].filter((name) => frame[name] !== undefined && frame[name] !== null);
  return given.length === 1 ? [] : [violation(`frame.${one}`, `give exactly one of ${one} and ${other}`)];
};

export class PtyFrames {
  /** Of the terminals of this socket, so that a key that is pressed asks no database. */
  private readonly pids = new Map<string, number>();
  /** Of each terminal the last one, while it is under way. */
  private readonly resizing = new Map<string, Promise<void>>();

  constructor(private readonly socket: MachineSocket) {}

  async receive(frame: PtyClientFrame): Promise<void> {
    const { machineId, input, closing, streams } = this.socket;
    const { processes } = this.socket.controlPlane;
    switch (frame.type) {
      case "pty_start":
        return streams.open(frame.id, (done) => this.start(frame, done));
      case "pty_connect":
        return streams.open(frame.id, (done) => this.connect(frame, done));
      case "pty_input": {
        const resized = this.resizing.get(frame.session_id);
        return input.run(frame.session_id, async () => {
          await resized;
          const pid = await this.pidOf(frame.session_id);
          await processes.writeStdin(machineId, pid, bytesOf(frame), closing);
        });
      }
      case "pty_resize":
        return this.resize(frame);
      case "pty_kill":
        return processes.kill(machineId, await this.pidOf(frame.session_id));
      default:
        return frame satisfies never;
    }
  }

  /** Not held up by input that nobody reads; but input that comes after it finds the new size. */
  private async resize({ session_id: session, cols, rows }: Resize): Promise<void> {
    const { machineId, controlPlane } = this.socket;
    const resized = (async () => {
      await this.resizing.get(session);
      await controlPlane.processes.resize(machineId, await this.pidOf(session), { cols, rows });
    })();
    const over = resized.catch(() => undefined); // Told to whoever asked for it, once.
    this.resizing.set(session, over);
    await resized.finally(() => {
      if (this.resizing.get(session) === over) this.resizing.delete(session);
    });
  }

  private async start(frame: Start, done: () => void): Promise<void> {
    const { machineId, controlPlane, closing } = this.socket;
    await living(controlPlane, machineId);
    const spec = {
      command: shell,
      display: "terminal",
      ...(typeof frame.cwd === "string" ? { cwd: frame.cwd } : {}),
      env: { ...ofTerminals, ...frame.envs },
      terminal: { cols: frame.cols ?? defaultSize.cols, rows: frame.rows ?? defaultSize.rows },
    };
    const process = await controlPlane.processes.start(machineId, spec, closing);
    await this.follow({ id: frame.id, process, from: { stdout: 0, stderr: 0 } }, done);
  }

  private async connect(frame: Connect, done: () => void): Promise<void> {
    const { machineId, controlPlane } = this.socket;
    await living(controlPlane, machineId);
    const process =
      typeof frame.pid === "number"
        ? await controlPlane.processes.get(machineId, frame.pid)
        : await controlPlane.processes.terminal(machineId, frame.session_id ?? "");
    const from = typeof frame.offset === "number" ? { stdout: frame.offset, stderr: 0 } : "live";
    await this.follow({ id: frame.id, process, from }, done);
  }

  /** `pty_started` is the first frame: the vendor's client takes any other for a failure. */
  private async follow(
    {
      id,
      process,
      from,
    }: { id: string; process: ProcessRecord; from: "live" | { stdout: number; stderr: number } },
    done: () => void,
  ): Promise<void> {
    const { machineId, controlPlane, connection, gone } = this.socket;
    const { pid, terminal } = process;
    if (terminal === null) {
      throw new Refusal(
        "not_a_terminal",
        `process ${String(pid)} does not run on a terminal: use exec_connect`,
      );
    }
    const { sessionId } = terminal;
    this.pids.set(sessionId, pid);
    const output = await controlPlane.processes.follow(machineId, pid, {
      from,
      signal: gone,
      overwrites: true,
    });
    connection.out.send({
      type: "pty_started",
      id,
      ...ptySession(process, terminal),
      offset: output.from.stdout,
    });
    const piped = pipeOutput(this.socket, output, {
      id,
      pid,
      output: ({ data, from: offset }) => ({
        ...{ type: "pty_output", id, session_id: sessionId, offset },
        ...{ data: data.toString("utf8"), data_base64: data.toString("base64") },
      }),
      exit: (_ended, exitCode) => ({ type: "pty_exited", id, session_id: sessionId, exit_code: exitCode }),
    });
    void piped.then(done);
  }

  private async pidOf(sessionId: string): Promise<number> {
    const { machineId, controlPlane } = this.socket;
    return this.pids.get(sessionId) ?? (await controlPlane.processes.terminal(machineId, sessionId)).pid;
  }
}

const bytesOf = ({ data_base64: encoded, data }: Input): Buffer =>
  typeof encoded === "string" ? Buffer.from(encoded, "base64") : Buffer.from(data ?? "");
