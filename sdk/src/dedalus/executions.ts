/** `client.executions`: commands in a machine, one method per endpoint, and `run` for the whole of one. */
import type { z } from "zod";
import type { CallOptions, MutationOptions } from "../call";
import type { Transport } from "../http";
import { fetchAs, requestBody, segment } from "../answers";
import { listing, type Listing, type PageParams } from "./pages";
import {
  followExecution,
  runExecution,
  type FollowExecutionOptions,
  type RunOptions,
  type RunResult,
} from "./run";
import {
  createExecutionRequest,
  executionAnswer,
  executionEventAnswer,
  executionOutputAnswer,
  pageAnswer,
  type Execution,
  type ExecutionEvent,
  type ExecutionOutput,
} from "./wire";

export interface CreateExecutionParams {
  /** Program and arguments; no shell. */
  command: string[];
  cwd?: string | undefined;
  env?: Record<string, string> | undefined;
  stdin?: string | undefined;
  /** The command's own limit, in milliseconds; the service has the default. */
  timeoutMs?: number | undefined;
}

export class Executions {
  constructor(private readonly transport: Transport) {}

  /** Starts a command; wakes a sleeping machine first (`wake_in_progress`). */
  async create(
    machineId: string,
    params: CreateExecutionParams,
    options?: MutationOptions,
  ): Promise<Execution> {
    const what = `run a command in machine ${machineId}`;
    const { command, cwd, env, stdin, timeoutMs: timeout_ms } = params;
    const given = Object.entries({ command, cwd, env, stdin, timeout_ms }).filter(([, v]) => v !== undefined);
    const body = requestBody(what, createExecutionRequest, Object.fromEntries(given));
    return this.send(executionAnswer, what, "POST", machineId, "", { body, options });
  }

  /** @throws NotFoundError */
  async get(machineId: string, executionId: string, options?: CallOptions): Promise<Execution> {
    return this.send(executionAnswer, `read execution ${executionId}`, "GET", machineId, below(executionId), {
      options,
    });
  }

  list(machineId: string, params: PageParams = {}, options?: CallOptions): Listing<Execution> {
    const what = `list executions of machine ${machineId}`;
    return this.pages(executionAnswer, what, machineId, "", params, options);
  }

  /** Cancels a running command. @throws NotFoundError */
  async delete(machineId: string, executionId: string, options?: MutationOptions): Promise<Execution> {
    return this.send(
      executionAnswer,
      `cancel execution ${executionId}`,
      "DELETE",
      machineId,
      below(executionId),
      {
        options,
      },
    );
  }

  /** What the command wrote so far. @throws NotFoundError */
  async output(machineId: string, executionId: string, options?: CallOptions): Promise<ExecutionOutput> {
    const what = `read the output of execution ${executionId}`;
    return this.send(executionOutputAnswer, what, "GET", machineId, `${below(executionId)}/output`, {
      options,
    });
  }

  /** What happened and what was written, in order, as far as it goes now. */
  events(
    machineId: string,
    executionId: string,
    params: PageParams = {},
    options?: CallOptions,
  ): Listing<ExecutionEvent> {
    const what = `read the events of execution ${executionId}`;
    return this.pages(executionEventAnswer, what, machineId, `${below(executionId)}/events`, params, options);
  }

  /**
   * Runs a command to its end. Output goes to `onStdout` and `onStderr` as it comes, in order, each piece once. A command
   * that fails is a result, not an error: look at `exitCode`. An aborted `signal` cancels the command.
   *
   * @example const { exitCode, stdout } = await client.executions.run(id, { command: ["uname", "-a"] });
   */
  async run(machineId: string, params: CreateExecutionParams, options: RunOptions = {}): Promise<RunResult> {
    return runExecution(this, this.transport.deps, machineId, params, options);
  }

  /**
   * Follows a command that was started before, by whomever: its output comes from its start, and a command that has ended is
   * told at once. An aborted `signal` ends the following; the command goes on.
   * @throws NotFoundError
   */
  async follow(
    machineId: string,
    executionId: string,
    options: FollowExecutionOptions = {},
  ): Promise<RunResult> {
    return followExecution(this, this.transport.deps, machineId, executionId, options);
  }

  private pages<T extends object>(
    schema: z.ZodType<T>,
    what: string,
    machineId: string,
    path: string,
    { limit, cursor: first }: PageParams,
    options: CallOptions | undefined,
  ): Listing<T> {
    return listing(
      (cursor) =>
        this.send(pageAnswer(schema), what, "GET", machineId, path, { query: { limit, cursor }, options }),
      first,
    );
  }

  private async send<T extends object>(
    schema: z.ZodType<T>,
    what: string,
    method: "GET" | "POST" | "DELETE",
    machineId: string,
    path: string,
    rest: {
      body?: unknown;
      query?: Record<string, string | number | undefined>;
      options?: MutationOptions | undefined;
    },
  ): Promise<T> {
    const base = `/v1/machines/${segment("machine id", machineId)}/executions`;
    return fetchAs(this.transport, schema, { what, machineId, method, path: base + path, ...rest });
  }
}

const below = (executionId: string): string => `/${segment("execution id", executionId)}`;
