/** Commands over REST: run to the end in one answer, start in the background, look at, stop and feed. */
import { z } from "zod";
import { fetchValue, requestBody } from "../answers";
import type { Call, CallOptions } from "../call";
import { anyAnswer, given, machineCall, wholeNumber, withoutKey } from "./calls";
import type { NullspaceContext } from "./context";
import { dispatchProofHeader, type DispatchProofs } from "./dispatch-proofs";
import { timeLimits } from "./time-limits";
import { execRequest, stdinRequest } from "./wire";

export interface ExecParams {
  /** A program, or with `shell` a line for the shell. */
  command: string;
  /** Of the program; nothing is split. */
  args?: string[] | undefined;
  /** Default false. */
  shell?: boolean | undefined;
  /** Default the machine's. */
  cwd?: string | undefined;
  envs?: Record<string, string> | undefined;
  /** The command's own limit in milliseconds, rounded up to seconds; default 30000, 0 is none where the service allows it. */
  timeoutMs?: number | undefined;
}

/** What a command that ended wrote. A code other than 0 is a result, not an error. */
export interface ExecResult {
  exitCode: number;
  stdout: string;
  stderr: string;
  pid?: number;
}

export interface ProcessInfo {
  /** Names the process in this API; not its number inside the machine. */
  pid: number;
  command: string;
  running: boolean;
}

/** All that is kept of a process's output. */
export interface ProcessLogs {
  stdout: string;
  stderr: string;
  /** Both, in the order in which they came. */
  output: string;
  /** Undefined while the process runs. */
  exitCode?: number;
  /** Bytes that the process wrote in all, and how many of them at the start are kept no more: where the service tells. */
  stdoutBytes?: number;
  stderrBytes?: number;
  stdoutDropped?: number;
  stderrDropped?: number;
  raw: Readonly<Record<string, unknown>>;
}

const defaultCommandMs = 30_000;

const resultAnswer = z
  .looseObject({
    exit_code: z.number(),
    stdout: z.string(),
    stderr: z.string(),
    pid: z.number().nullish(),
  })
  .transform((wire): ExecResult => ({
    exitCode: wire.exit_code,
    stdout: wire.stdout,
    stderr: wire.stderr,
    ...(typeof wire.pid === "number" ? { pid: wire.pid } : {}),
  }));

const startedAnswer = z.looseObject({ pid: z.number() });

export const processesAnswer = z.array(
  z
    .looseObject({ pid: z.number(), command: z.string(), running: z.boolean() })
    .transform(({ pid, command, running }): ProcessInfo => ({ pid, command, running })),
);

const count = z.number().nullish();
const logsAnswer = z
  .looseObject({
    stdout: z.string(),
    stderr: z.string(),
    output: z.string().nullish(),
    exit_code: count,
    stdout_bytes: count,
    stderr_bytes: count,
    stdout_dropped: count,
    stderr_dropped: count,
  })
  .transform((wire): ProcessLogs => ({
    stdout: wire.stdout,
    stderr: wire.stderr,
    output: wire.output ?? "",
    ...(given({
      exitCode: wire.exit_code ?? undefined,
      stdoutBytes: wire.stdout_bytes ?? undefined,
      stderrBytes: wire.stderr_bytes ?? undefined,
      stdoutDropped: wire.stdout_dropped ?? undefined,
      stderrDropped: wire.stderr_dropped ?? undefined,
    }) as Partial<
      Record<"exitCode" | "stdoutBytes" | "stderrBytes" | "stdoutDropped" | "stderrDropped", number>
    >),
    raw: wire,
  }));

/** A lost connection is not repeated: the command may have run. */
export class ExecRest {
  constructor(
    private readonly context: Pick<NullspaceContext, "transport">,
    private readonly proofs: DispatchProofs,
  ) {}

  /**
   * Runs a command and waits for its end in one request, which is given 15 s more than the command.
   * @throws NotFoundError · AnswerError `exec_failed`, `exec_timeout` · ConnectionError
   */
  async run(machineId: string, params: ExecParams, options?: CallOptions): Promise<ExecResult> {
    const commandMs = params.timeoutMs ?? defaultCommandMs;
    // No limit of the command is none of the request either.
    const attemptTimeoutMs = commandMs === 0 ? 0 : commandMs + timeLimits.beyondCommandMs;
    return this.send(resultAnswer, "run a command in", "POST", machineId, "/exec", {
      body: execBody(machineId, params, false),
      headers: this.proof(machineId),
      attemptTimeoutMs,
      options: {
        ...options,
        timeoutMs: options?.timeoutMs ?? wholeOf(attemptTimeoutMs),
      },
    });
  }

  /** Starts a command and answers with its pid; it goes on by itself. */
  async background(machineId: string, params: ExecParams, options?: CallOptions): Promise<number> {
    const { pid } = await this.send(startedAnswer, "start a command in", "POST", machineId, "/exec", {
      body: execBody(machineId, params, true),
      headers: this.proof(machineId),
      options: withoutKey(options),
    });
    return pid;
  }

  /** The processes that the service knows in this machine, ended ones too as long as they are kept. */
  async list(machineId: string, options?: CallOptions): Promise<ProcessInfo[]> {
    return this.send(processesAnswer, "list the processes of", "GET", machineId, "/processes", {
      options: withoutKey(options),
    });
  }

  /** Everything that is kept so far; the whole text each time. */
  async logs(machineId: string, pid: number, options?: CallOptions): Promise<ProcessLogs> {
    return this.send(
      logsAnswer,
      `read the logs of process ${String(pid)} in`,
      "GET",
      machineId,
      below(pid, "/logs"),
      {
        options: withoutKey(options),
      },
    );
  }

  /** Ends the process and what it started. @throws NotFoundError */
  async kill(machineId: string, pid: number, options?: CallOptions): Promise<void> {
    await this.send(anyAnswer, `end process ${String(pid)} in`, "POST", machineId, below(pid, "/kill"), {
      options: withoutKey(options),
    });
  }

  /** Writes to the process's standard input; there is no call over REST that closes it. @throws NotFoundError */
  async sendStdin(machineId: string, pid: number, data: string, options?: CallOptions): Promise<void> {
    const verb = `write to process ${String(pid)} in`;
    const body = requestBody(`${verb} machine ${machineId}`, stdinRequest, { data });
    await this.send(anyAnswer, verb, "POST", machineId, below(pid, "/stdin"), {
      body,
      options: withoutKey(options),
    });
  }

  private async send<T>(
    schema: z.ZodType<T>,
    verb: string,
    method: Call["method"],
    machineId: string,
    path: string,
    rest: Partial<Call>,
  ): Promise<T> {
    const call = machineCall(verb, method, machineId, path, rest);
    const { value } = await fetchValue(this.context.transport, schema, call);
    return value;
  }

  private proof(machineId: string): Readonly<Record<string, string | undefined>> {
    return { [dispatchProofHeader]: this.proofs.of(machineId) };
  }
}

/** The whole call may take all its repeats after 429. */
const wholeOf = (attemptMs: number): number =>
  attemptMs === 0 ? Infinity : Math.max(timeLimits.wholeCallMs, 2 * attemptMs);

const below = (pid: number, path: string): string =>
  `/processes/${String(wholeNumber("the pid", pid, 1, Number.MAX_SAFE_INTEGER))}${path}`;

/** The body of an exec; the frames of the socket take the same members. @throws UsageError `invalid_argument` */
export function execBody(machineId: string, params: ExecParams, background: boolean): unknown {
  const body = given({
    command: params.command,
    args: params.args?.length ? params.args : undefined,
    timeout_secs: params.timeoutMs === undefined ? undefined : Math.ceil(params.timeoutMs / 1_000),
    cwd: params.cwd,
    envs: params.envs,
    shell: params.shell === true ? true : undefined,
    background,
  });
  requestBody(`run a command in machine ${machineId}`, execRequest, body);
  return body;
}
