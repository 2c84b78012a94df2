/** Commands over the Nullspace API: followed over connections that break, each byte once, and what is missing is said. */
import {
  CommandError,
  type CommandStream,
  type NullspaceClient,
  type OutputGap,
  type ProcessInfo,
} from "@pulumi-machines/sdk";
import { programOf } from "./command-names";
import {
  NoEndError,
  type CommandOptions,
  type CommandOutcome,
  type CommandPort,
  type CommandSpec,
  type CommandView,
  type FollowOptions,
} from "./command-port";
import { commandIdOf, markOf, marksOf, parseCommandId } from "./nullspace-command-id";
import type { MachineIds } from "./nullspace-ids";
import { KeptOutput } from "./nullspace-output";
import { feedStdin } from "./nullspace-stdin";
import { RefusedError, type CallOptions } from "./port";
import { translateError } from "./translate";

/** For ending a command whose deploy has no time left. */
const endMs = 5_000;

export class NullspaceCommands implements CommandPort {
  readonly keepsKeys = false;

  constructor(
    private readonly client: NullspaceClient,
    private readonly ids: MachineIds,
    private readonly hint: string | undefined,
  ) {}

  async run(machineId: string, spec: CommandSpec, options: CommandOptions): Promise<CommandOutcome> {
    const { argv, cwd, env, stdin, timeoutMs } = spec;
    const [command, ...args] = argv;
    if (command === undefined) {
      throw new RefusedError("a command needs a program", { code: "invalid_argument", retryable: false });
    }
    const unfed = new AbortController();
    const over = new AbortController();
    const id = this.ids.toWire(machineId);
    try {
      const stream = this.client.commands.stream(id, command, {
        args,
        timeoutMs,
        signal: AbortSignal.any([options.signal, unfed.signal]),
        ...(cwd === undefined ? {} : { cwd }),
        ...(env === undefined ? {} : { envs: env }),
      });
      const named = (isFed: boolean) => (pid: number) =>
        options.onStarted?.(commandIdOf({ pid, isFed, marks: marksOf(machineId, argv) }));
      stream.pid.then(named(false)).catch(() => undefined);
      feedStdin(this.client, id, stream, stdin ?? "", over.signal)
        .then(() => stream.pid.then(named(true)).catch(() => undefined))
        .catch((error: unknown) => unfed.abort(error));
      return await outcomeOf(stream, options.onOutput);
    } catch (error) {
      throw this.failureOf(error, machineId);
    } finally {
      over.abort();
    }
  }

  async follow(machineId: string, commandId: string, options: FollowOptions): Promise<CommandOutcome> {
    const { signal, onOutput } = options;
    try {
      const process = await this.listed(machineId, commandId, signal);
      if (!process) throw unknown("the machine does not know it any more");
      if (!parseCommandId(commandId)?.isFed)
        throw unknown("it may not have been given all of its standard input");
      const stream = this.client.commands.connect(this.ids.toWire(machineId), process.pid).output({ signal });
      return await outcomeOf(stream, onOutput);
    } catch (error) {
      if (signal.aborted)
        await this.end(machineId, commandId, { signal: AbortSignal.timeout(endMs) }).catch(() => undefined);
      throw this.failureOf(error, machineId);
    }
  }

  async end(machineId: string, commandId: string, { signal }: CallOptions): Promise<void> {
    try {
      const process = await this.listed(machineId, commandId, signal);
      if (process?.running)
        await this.client.commands.kill(this.ids.toWire(machineId), process.pid, { signal });
    } catch (error) {
      throw translateError(error, { machineId, hint: this.hint });
    }
  }

  private failureOf(error: unknown, machineId: string): unknown {
    const refusal = translateError(error, { machineId, hint: this.hint });
    if (!(error instanceof CommandError) || !(refusal instanceof RefusedError)) return refusal;
    // One that has no number was not started, unless nobody knows.
    if (refusal.code === "INVALID_STATE" || (error.pid === undefined && error.code !== "command_unknown"))
      return refusal;
    const { message, code, retryable } = refusal;
    return new NoEndError(message, { code, retryable, cause: error });
  }

  /** A number may be another process's by now: the command line must be the same, too. */
  private async listed(
    machineId: string,
    commandId: string,
    signal: AbortSignal,
  ): Promise<ProcessInfo | undefined> {
    const id = parseCommandId(commandId);
    if (!id) return undefined;
    const processes = await this.client.commands.list(this.ids.toWire(machineId), { signal });
    return processes.find(
      ({ pid, command }) => pid === id.pid && id.marks.includes(markOf(machineId, command)),
    );
  }

  /** This API tells no times, and an exit code only with all of the output. */
  async *list(machineId: string, { signal }: CallOptions): AsyncGenerator<CommandView, void> {
    try {
      const processes = await this.client.commands.list(this.ids.toWire(machineId), { signal });
      for (const { pid, command, running } of processes) {
        yield { id: String(pid), program: programOf(command), outcome: running ? "running" : "ended" };
      }
    } catch (error) {
      throw translateError(error, { machineId, hint: this.hint });
    }
  }
}

/** Reads a command to its end. @throws what the stream throws, but for a command that its own timeout ended */
async function outcomeOf(
  stream: CommandStream,
  onOutput: FollowOptions["onOutput"],
): Promise<CommandOutcome> {
  const kept = { stdout: new KeptOutput("stdout"), stderr: new KeptOutput("stderr") };
  const startedAt = Date.now();
  const outcome = (exitCode: number, durationMs: number, gaps: readonly OutputGap[]): CommandOutcome => {
    // What is cut is counted by asking for the text.
    const said = { stdout: kept.stdout.text(), stderr: kept.stderr.text() };
    const missing = [...gaps.map(wordsOf), ...kept.stdout.cuts(), ...kept.stderr.cuts()].join(", ");
    return { exitCode, ...said, durationMs, complete: missing === "", ...(missing ? { missing } : {}) };
  };
  try {
    for await (const piece of stream) {
      if (piece.kind !== "output") continue;
      kept[piece.stream].add(piece.data);
      onOutput?.(piece.stream, piece.data);
    }
    const { exitCode, gaps, durationMs } = await stream.result;
    return outcome(exitCode, durationMs, gaps);
  } catch (error) {
    if (error instanceof CommandError && error.code === "exec_timeout")
      return { ...outcome(124, Date.now() - startedAt, []), timedOut: true };
    throw error;
  }
}

const unknown = (why: string): NoEndError =>
  new NoEndError(`the command that was started cannot be followed: ${why}`, {
    code: "command_unknown",
    retryable: false,
  });

const wordsOf = ({ stream, bytes }: OutputGap): string =>
  `${bytes === undefined ? "some" : String(bytes)} bytes of ${stream}`;
