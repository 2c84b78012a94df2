/**
 * Commands over a machine's socket. A command belongs to its machine, not to the socket: when that is lost the command
 * runs on, and is followed again by `exec_connect`, from any byte.
 */
import type { ExecClientFrame } from "@pulumi-machines/sdk/nullspace/frames";
import type { FollowProcess } from "../../../engine/processes/api";
import type { Violation } from "../../../http-errors";
import { defaultTimeoutSecs, execViolations, processOf } from "../exec-command";
import { living } from "../transitions";
import type { MachineSocket } from "./machine-socket";
import type { Frame } from "./parse-frame";
import { pipeOutput } from "./process-output";

type Start = Extract<ExecClientFrame, { type: "exec_start" }>;
type Connect = Extract<ExecClientFrame, { type: "exec_connect" }>;

/** What the schema cannot say. */
export const execFrameViolations = (frame: Frame): Violation[] =>
  frame["type"] === "exec_start" ? execViolations(frame, "frame") : [];

export class ExecFrames {
  constructor(private readonly socket: MachineSocket) {}

  async receive(frame: ExecClientFrame): Promise<void> {
    const { machineId, input, closing, streams } = this.socket;
    const { processes } = this.socket.controlPlane;
    switch (frame.type) {
      case "exec_start":
        return streams.open(frame.id, (done) => this.start(frame, done));
      case "exec_connect":
        return streams.open(frame.id, (done) => this.connect(frame, done));
      case "exec_stdin": {
        const data = Buffer.from(frame.data);
        return input.run(frame.pid, () => processes.writeStdin(machineId, frame.pid, data, closing));
      }
      case "exec_stdin_close":
        return input.run(frame.pid, () => processes.closeStdin(machineId, frame.pid));
      case "exec_kill":
        return processes.kill(machineId, frame.pid);
      default:
        return frame satisfies never;
    }
  }

  private async start(frame: Start, done: () => void): Promise<void> {
    const { machineId, controlPlane, closing } = this.socket;
    await living(controlPlane, machineId);
    const timeoutSecs = frame.timeout_secs ?? defaultTimeoutSecs;
    const spec = {
      ...processOf(frame),
      ...(timeoutSecs === 0 ? {} : { timeoutMs: timeoutSecs * 1000 }),
      stdin: "open",
    } as const;
    // It goes on when its socket is gone: who asked for it may come back.
    const { pid } = await controlPlane.processes.start(machineId, spec, closing);
    await this.follow({ id: frame.id, pid, from: { stdout: 0, stderr: 0 } }, done);
  }

  private async connect(frame: Connect, done: () => void): Promise<void> {
    const { stdout_offset: stdout, stderr_offset: stderr } = frame;
    const isLive = typeof stdout !== "number" && typeof stderr !== "number";
    const from = isLive ? "live" : { stdout: stdout ?? 0, stderr: stderr ?? 0 };
    await living(this.socket.controlPlane, this.socket.machineId);
    await this.follow({ id: frame.id, pid: frame.pid, from }, done);
  }

  /** `exec_started` comes before any output: the vendor's client drops what comes before it. */
  private async follow(
    { id, pid, from }: { id: string; pid: number; from: NonNullable<FollowProcess["from"]> },
    done: () => void,
  ): Promise<void> {
    const { machineId, controlPlane, connection, gone } = this.socket;
    const output = await controlPlane.processes.follow(machineId, pid, {
      from,
      signal: gone,
      overwrites: true,
    });
    connection.out.send({
      ...{ type: "exec_started", id, pid },
      ...{ stdout_offset: output.from.stdout, stderr_offset: output.from.stderr },
    });
    const piped = pipeOutput(this.socket, output, {
      id,
      pid,
      output: ({ stream, from: offset, data }) => ({
        type: stream === "stdout" ? "exec_stdout" : "exec_stderr",
        ...{ id, pid, data: data.toString("utf8"), offset, bytes: data.length },
      }),
      exit: ({ stdoutBytes, stderrBytes, errorCode }, exitCode) => ({
        ...{ type: "exec_exit", id, pid, exit_code: exitCode },
        ...{ stdout_bytes: stdoutBytes, stderr_bytes: stderrBytes },
        ...(errorCode === null ? {} : { error_code: errorCode }),
      }),
    });
    void piped.then(done);
  }
}
