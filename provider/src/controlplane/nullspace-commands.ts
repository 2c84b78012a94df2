/** Commands over the Nullspace API: followed over connections that break, each byte once, and what is missing is said. */
import { CommandError, type NullspaceClient, type OutputGap } from "@pulumi-machines/sdk";
import { programOf } from "./command-names";
import type { CommandOptions, CommandOutcome, CommandPort, CommandSpec, CommandView } from "./command-port";
import type { MachineIds } from "./nullspace-ids";
import { KeptOutput } from "./nullspace-output";
import { feedStdin } from "./nullspace-stdin";
import { RefusedError, type CallOptions } from "./port";
import { translateError } from "./translate";

export class NullspaceCommands implements CommandPort {
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
    const kept = { stdout: new KeptOutput("stdout"), stderr: new KeptOutput("stderr") };
    const startedAt = Date.now();
    const outcome = (exitCode: number, durationMs: number, gaps: readonly OutputGap[]): CommandOutcome => {
      // What is cut is counted by asking for the text.
      const said = { stdout: kept.stdout.text(), stderr: kept.stderr.text() };
      const missing = [...gaps.map(wordsOf), ...kept.stdout.cuts(), ...kept.stderr.cuts()].join(", ");
      return { exitCode, ...said, durationMs, complete: missing === "", ...(missing ? { missing } : {}) };
    };
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
      feedStdin(this.client, id, stream, stdin ?? "", over.signal).catch((error: unknown) =>
        unfed.abort(error),
      );
      for await (const piece of stream) {
        if (piece.kind !== "output") continue;
        kept[piece.stream].add(piece.data);
        options.onOutput?.(piece.stream, piece.data);
      }
      const { exitCode, gaps, durationMs } = await stream.result;
      return outcome(exitCode, durationMs, gaps);
    } catch (error) {
      if (error instanceof CommandError && error.code === "exec_timeout") {
        return { ...outcome(124, Date.now() - startedAt, []), timedOut: true };
      }
      throw translateError(error, { machineId, hint: this.hint });
    } finally {
      over.abort();
    }
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

const wordsOf = ({ stream, bytes }: OutputGap): string =>
  `${bytes === undefined ? "some" : String(bytes)} bytes of ${stream}`;
