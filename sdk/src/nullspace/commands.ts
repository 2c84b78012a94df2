/** `client.commands`: commands in machines, run to their end, followed while they run, or left in the background. */
import { randomUUID } from "node:crypto";
import type { CallOptions } from "../call";
import { collectDefaults, Collector } from "./command-collector";
import { collect, type CollectOptions } from "./command-collect";
import { CommandHandle } from "./command-handle";
import { CommandStream, type CommandResult, type StreamOptions } from "./command-stream";
import type { ExecParams, ExecRest, ProcessInfo, ProcessLogs } from "./exec-rest";
import { execDefaults, ExecSession, type ExecPlan, type ExecServices, type FollowFrom } from "./exec-session";
import { closeStdinOf } from "./exec-stdin";
import type { SocketContext } from "./open-socket";
import { wholeNumber } from "./calls";

/** What a command is started with; `command` itself comes first in each call. */
export type CommandParams = Omit<ExecParams, "command">;

export interface ReattachOptions {
  /**
   * How long a connection that broke is opened anew, in milliseconds; default 120000. Past it the command is asked after over
   * REST, and CommandError `exit_unknown` says so where that does not tell either.
   */
  reattachMs?: number | undefined;
}

export interface StreamCommandOptions extends CommandParams, StreamOptions, ReattachOptions {}

export interface RunCommandOptions extends StreamCommandOptions, CollectOptions {}

/**
 * A command outlives the connection that started it. Its own limit is `timeoutMs`, default 30000: the service's; nothing here
 * cuts a command that is merely quiet.
 */
export class Commands {
  private readonly services: ExecServices;

  constructor(
    context: SocketContext,
    private readonly rest: ExecRest,
  ) {
    this.services = { context, rest };
  }

  /**
   * Runs a command to its end. One REST call where nothing has to happen meanwhile; with callbacks or a signal over a
   * socket, which is opened anew when it breaks. An aborted signal ends the command, unless `whenAborted` is "leave".
   *
   * @example
   * const { exitCode, stdout } = await client.commands.run(machineId, "npm test", { shell: true, onStdout: print });
   * @throws CommandError `command_unknown`, `exit_unknown`, or the service's code · NotFoundError · ConnectionError
   */
  async run(
    machineId: string,
    command: string,
    options: RunCommandOptions = {},
  ): Promise<CommandResult & { stdout: string; stderr: string }> {
    const { onStdout, onStderr, onGap, signal } = options;
    if (onStdout ?? onStderr ?? onGap ?? signal)
      return collect(this.stream(machineId, command, options), options);
    const { deps } = this.services.context;
    const startedAtMs = deps.now();
    const { exitCode, stdout, stderr, pid } = await this.rest.run(machineId, { ...options, command });
    const kept = new Collector(options.maxOutputBytes ?? collectDefaults.maxOutputBytes);
    kept.add({ stream: "stdout", data: stdout });
    kept.add({ stream: "stderr", data: stderr });
    const durationMs = deps.now() - startedAtMs;
    return { exitCode, ...(pid === undefined ? {} : { pid }), ...kept.result([]), durationMs };
  }

  /**
   * Starts a command at once and gives its output as it comes. A broken connection is opened anew, and each byte comes once
   * and in order for its stream; where that cannot be, a gap says how much is missing.
   *
   * @example
   * const tests = client.commands.stream(machineId, "npm", { args: ["test"] });
   * for await (const { stream, data } of tests) process[stream].write(data);
   * const { exitCode, complete } = await tests.result;
   */
  stream(machineId: string, command: string, options: StreamCommandOptions = {}): CommandStream {
    const { signal, whenAborted, reattachMs, ...params } = options;
    return this.follow({ machineId, start: { ...params, command } }, reattachMs, { signal, whenAborted });
  }

  /** Starts a command that goes on by itself, whatever becomes of this process. */
  async background(
    machineId: string,
    command: string,
    options: CommandParams & CallOptions = {},
  ): Promise<CommandHandle> {
    const { signal, ...params } = options;
    const pid = await this.rest.background(machineId, { ...params, command }, { signal });
    return this.connect(machineId, pid);
  }

  /** A handle on a process that was started before; nothing is sent until it is used. @throws UsageError */
  connect(machineId: string, pid: number): CommandHandle {
    wholeNumber("the pid", pid, 1, Number.MAX_SAFE_INTEGER);
    return new CommandHandle(machineId, pid, this, ({ from = "start", signal, reattachMs }) =>
      this.follow({ machineId, pid, from }, reattachMs, { signal, whenAborted: "leave" }),
    );
  }

  /** Those that run, and those whose output is kept. */
  async list(machineId: string, options?: CallOptions): Promise<ProcessInfo[]> {
    return this.rest.list(machineId, options);
  }

  /** All output that is kept. */
  async logs(machineId: string, pid: number, options?: CallOptions): Promise<ProcessLogs> {
    return this.rest.logs(machineId, pid, options);
  }

  /** Ends a process and what it started. */
  async kill(machineId: string, pid: number, options?: CallOptions): Promise<void> {
    return this.rest.kill(machineId, pid, options);
  }

  /** Resolves when the service has taken it. */
  async sendStdin(machineId: string, pid: number, data: string, options?: CallOptions): Promise<void> {
    return this.rest.sendStdin(machineId, pid, data, options);
  }

  /** The process reads an end of its standard input. @throws CommandError */
  async closeStdin(machineId: string, pid: number): Promise<void> {
    return closeStdinOf(this.services.context, machineId, pid);
  }

  private follow(what: FollowWhat, reattachMs: number | undefined, options: StreamOptions): CommandStream {
    const plan: ExecPlan = {
      ...what,
      id: `exec_${randomUUID()}`,
      reattachMs: reattachMs ?? execDefaults.reattachMs,
    };
    return new CommandStream(this.services, new ExecSession(this.services, plan), options);
  }
}

type FollowWhat = { machineId: string } & ({ start: ExecParams } | { pid: number; from: FollowFrom });
