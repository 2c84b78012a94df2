/** A process by its pid: started in the background, or found again. */
import type { CallOptions } from "../call";
import type { CommandResult, CommandStream } from "./command-stream";
import type { Commands, ReattachOptions } from "./commands";
import type { CommandOutput } from "./exec-output";
import type { ProcessLogs } from "./exec-rest";
import type { FollowFrom } from "./exec-session";
import { collect, type CollectOptions } from "./command-collect";

export interface FollowOptions extends ReattachOptions {
  /**
   * Where to begin: "start" (default, as far back as output is kept), "live", or a byte of each stream, such as an earlier
   * reader's place.
   */
  from?: FollowFrom | undefined;
  /** Ends the reading; the process goes on. */
  signal?: AbortSignal | undefined;
}

export class CommandHandle implements AsyncIterable<CommandOutput> {
  private readonly streams = new Set<CommandStream>();

  constructor(
    readonly machineId: string,
    readonly pid: number,
    private readonly commands: Pick<Commands, "kill" | "logs" | "sendStdin" | "closeStdin">,
    private readonly follow: (options: FollowOptions) => CommandStream,
  ) {}

  /** Its output over a socket, from the start or from where the caller says. Leaving it leaves the process running. */
  output(options: FollowOptions = {}): CommandStream {
    const stream = this.follow(options);
    this.streams.add(stream);
    const forget = (): void => void this.streams.delete(stream);
    stream.over.then(forget, forget);
    return stream;
  }

  /** The whole output, from its start. */
  [Symbol.asyncIterator](): AsyncIterator<CommandOutput, undefined> {
    return this.output()[Symbol.asyncIterator]();
  }

  /** Waits for the exit; the result holds the output, the newest of it where there is much. @throws CommandError */
  async wait(
    options: FollowOptions & CollectOptions = {},
  ): Promise<CommandResult & { stdout: string; stderr: string }> {
    return collect(this.output(options), options);
  }

  /** Ends every reading of this handle; the process goes on. What was waiting gets CommandError `command_abandoned`. */
  async disconnect(): Promise<void> {
    await Promise.all([...this.streams].map((stream) => stream.disconnect()));
  }

  /** Ends the process and what it started; resolves when that is done. */
  async kill(options?: CallOptions): Promise<void> {
    return this.commands.kill(this.machineId, this.pid, options);
  }

  async sendStdin(data: string, options?: CallOptions): Promise<void> {
    return this.commands.sendStdin(this.machineId, this.pid, data, options);
  }

  async closeStdin(): Promise<void> {
    return this.commands.closeStdin(this.machineId, this.pid);
  }

  /** All output that is kept. */
  async logs(options?: CallOptions): Promise<ProcessLogs> {
    return this.commands.logs(this.machineId, this.pid, options);
  }
}
