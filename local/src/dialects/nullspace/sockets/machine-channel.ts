/** The socket of a machine: commands, terminals and watched folders, as many of each as fit, told apart by `id`. */
import { execClientFrame, fileWatchFrame, ptyClientFrame } from "@pulumi-machines/sdk/nullspace/frames";
import type { Channel, Connection } from "./connection";
import { execFrameViolations, ExecFrames } from "./exec-frames";
import { InputQueue } from "./input-queue";
import { type MachineSocket, Streams } from "./machine-socket";
import { type Frame, parseFrame, unknownType } from "./parse-frame";
import { ptyFrameViolations, PtyFrames } from "./pty-frames";
import type { MachineChannelName } from "./target";
import { watchFrameViolations, WatchFrames } from "./watch-frames";

const types = {
  exec: ["exec_start", "exec_connect", "exec_stdin", "exec_stdin_close", "exec_kill"],
  pty: ["pty_start", "pty_connect", "pty_input", "pty_resize", "pty_kill"],
  watch: ["file_watch"],
} as const;
type Family = keyof typeof types;

const served: Record<MachineChannelName, readonly Family[]> = {
  exec: ["exec"],
  pty: ["pty"],
  any: ["exec", "pty", "watch"],
};

export class MachineChannel implements Channel {
  private readonly ending = new AbortController();
  private readonly families: readonly Family[];
  private readonly exec: ExecFrames;
  private readonly pty: PtyFrames;
  private readonly watch: WatchFrames;

  constructor(
    connection: Connection,
    channel: MachineChannelName,
    host: Pick<MachineSocket, "machineId" | "controlPlane" | "closing">,
  ) {
    this.families = served[channel];
    const socket: MachineSocket = {
      ...host,
      connection,
      input: new InputQueue(),
      streams: new Streams(),
      gone: this.ending.signal,
    };
    this.exec = new ExecFrames(socket);
    this.pty = new PtyFrames(socket);
    this.watch = new WatchFrames(socket);
  }

  async receive(frame: Frame): Promise<void> {
    const family = this.families.find((name) => (types[name] as readonly unknown[]).includes(frame["type"]));
    switch (family) {
      case "exec":
        return this.exec.receive(parseFrame(execClientFrame, frame, execFrameViolations));
      case "pty":
        return this.pty.receive(parseFrame(ptyClientFrame, frame, ptyFrameViolations));
      case "watch":
        return this.watch.receive(parseFrame(fileWatchFrame, frame, watchFrameViolations));
      case undefined:
        throw unknownType(this.families.flatMap((name) => types[name]));
      default:
        return family satisfies never;
    }
  }

  closed(): void {
    this.ending.abort();
  }
}
