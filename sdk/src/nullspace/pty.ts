/** `client.pty`: terminals in machines. A terminal outlives the connection that opened it, until its shell ends or it is killed. */
import { randomUUID } from "node:crypto";
import { UsageError } from "../errors";
import type { CallOptions } from "../call";
import { given, wholeNumber } from "./calls";
import type { StreamOptions } from "./command-stream";
import { execDefaults } from "./exec-session";
import type { NullspaceContext } from "./context";
import { PtyRest, type PtyInfo, type TerminalSize } from "./pty-rest";
import { PtySession, type PtyPlan } from "./pty-session";
import { Terminal } from "./terminal";

export interface OpenTerminalOptions extends StreamOptions {
  /**
   * How long a connection that broke is opened anew, in milliseconds; default 120000. Past it the reading ends with the
   * connection's error; the terminal may run on.
   */
  reattachMs?: number | undefined;
}

export interface CreateTerminalOptions extends OpenTerminalOptions, Partial<TerminalSize> {
  /** Default the machine's. */
  cwd?: string | undefined;
  envs?: Record<string, string> | undefined;
}

/** One of them. */
export type TerminalName = { sessionId: string; pid?: undefined } | { pid: number; sessionId?: undefined };

export class Pty {
  private readonly rest: PtyRest;

  constructor(private readonly context: NullspaceContext) {
    this.rest = new PtyRest(context);
  }

  /**
   * Opens a terminal with a login shell, 120 x 30 by default. Leaving it early ends it, unless `whenAborted` is "leave".
   *
   * @example
   * await using terminal = await client.pty.create(machineId, { cols: 100, rows: 40 });
   * await terminal.input("make test; exit\n");
   * for await (const { data } of terminal) process.stdout.write(data);
   * const { exitCode } = await terminal.result;
   * @throws CommandError `command_unknown` when the connection broke before its answer · NotFoundError · ConnectionError
   */
  async create(machineId: string, options: CreateTerminalOptions = {}): Promise<Terminal> {
    const { cols = 120, rows = 30, cwd, envs, ...rest } = options;
    sizeOf({ cols, rows });
    return this.open(machineId, { type: "pty_start", cols, rows, ...given({ cwd, envs }) }, rest, "kill");
  }

  /** Joins a terminal that runs: what it writes from now on. Leaving it early leaves it running, unless `whenAborted` is "kill". */
  async connect(machineId: string, name: TerminalName, options: OpenTerminalOptions = {}): Promise<Terminal> {
    const { sessionId, pid } = name;
    if (pid !== undefined) wholeNumber("the pid", pid, 1, Number.MAX_SAFE_INTEGER);
    return this.open(
      machineId,
      { type: "pty_connect", ...given({ session_id: sessionId, pid }) },
      options,
      "leave",
    );
  }

  /** Those that run. */
  async list(machineId: string, options?: CallOptions): Promise<PtyInfo[]> {
    return this.rest.list(machineId, options);
  }

  /** @throws NotFoundError for one that has ended, too */
  async get(machineId: string, sessionId: string, options?: CallOptions): Promise<PtyInfo> {
    return this.rest.get(machineId, sessionId, options);
  }

  async resize(
    machineId: string,
    sessionId: string,
    size: TerminalSize,
    options?: CallOptions,
  ): Promise<void> {
    return this.rest.resize(machineId, sessionId, sizeOf(size), options);
  }

  /** Ends the shell and what it started. @throws NotFoundError */
  async kill(machineId: string, sessionId: string, options?: CallOptions): Promise<void> {
    return this.rest.kill(machineId, sessionId, options);
  }

  private async open(
    machineId: string,
    first: PtyPlan["first"],
    { signal, whenAborted, reattachMs = execDefaults.reattachMs }: OpenTerminalOptions,
    byDefault: "kill" | "leave",
  ): Promise<Terminal> {
    signal?.throwIfAborted();
    const plan: PtyPlan = { machineId, id: `pty_${randomUUID()}`, reattachMs, first };
    const session = new PtySession(this.context, plan);
    const { deps } = this.context;
    const services = { rest: this.rest, log: (line: string) => deps.log(line) };
    const terminal = new Terminal(session, services, { signal, whenAborted: whenAborted ?? byDefault });
    await terminal.started;
    return terminal;
  }
}

/** @throws UsageError `invalid_argument` */
function sizeOf({ cols, rows }: TerminalSize): TerminalSize {
  for (const [name, value] of Object.entries({ cols, rows })) {
    if (Number.isInteger(value) && value >= 1 && value <= 10_000) continue;
    throw new UsageError({
      message: `the ${name} of a terminal must be a whole number from 1 to 10000, not ${String(value)}`,
      code: "invalid_argument",
    });
  }
  return { cols, rows };
}
