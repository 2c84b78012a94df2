/** Commands over the Nullspace API: followed over connections that break, each byte once, and what is missing is said. */
import { CommandError, type CommandStream, type NullspaceClient } from "@pulumi-machines/sdk";
import { programOf } from "./command-names";
import type { CommandOptions, CommandOutcome, CommandPort, CommandSpec, CommandView } from "./command-port";
import type { MachineIds } from "./nullspace-ids";
import { RefusedError, type CallOptions } from "./port";
import { translateError } from "./translate";

/** Of one stream, in characters; the newest are kept. */
const keptOutput = 4 * 1024 * 1024;
/** Of standard input in one call. */
const stdinChunk = 256 * 1024;

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
    const kept = { stdout: new Kept(), stderr: new Kept() };
    const startedAt = Date.now();
    const said = (): Pick<CommandOutcome, "stdout" | "stderr"> => ({
      stdout: kept.stdout.text(),
      stderr: kept.stderr.text(),
    });
    try {
      const stream = this.client.commands.stream(this.ids.toWire(machineId), command, {
        args,
        timeoutMs,
        signal: options.signal,
        ...(cwd === undefined ? {} : { cwd }),
        ...(env === undefined ? {} : { envs: env }),
      });
      feed(stream, stdin ?? "");
      for await (const piece of stream) {
        if (piece.kind !== "output") continue;
        kept[piece.stream].add(piece.data);
        options.onOutput?.(piece.stream, piece.data);
      }
      const { exitCode, gaps, durationMs } = await stream.result;
      const missing = [
        ...gaps.map(
          ({ stream: name, bytes }) => `${bytes === undefined ? "some" : String(bytes)} bytes of ${name}`,
        ),
        ...Object.entries(kept).flatMap(([name, { dropped }]) =>
          dropped > 0 ? [`the first ${String(dropped)} characters of ${name}`] : [],
        ),
      ].join(", ");
      return {
        exitCode,
        ...said(),
        durationMs,
        complete: missing === "",
        ...(missing === "" ? {} : { missing }),
      };
    } catch (error) {
      if (error instanceof CommandError && error.code === "exec_timeout") {
        return {
          exitCode: 124,
          ...said(),
          durationMs: Date.now() - startedAt,
          complete: true,
          timedOut: true,
        };
      }
      throw translateError(error, { machineId, hint: this.hint });
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

/** A command that ends without reading its input is no failure: its end says how it went. */
function feed(stream: CommandStream, stdin: string): void {
  const send = async (): Promise<void> => {
    for (let at = 0; at < stdin.length; at += stdinChunk)
      await stream.sendStdin(stdin.slice(at, at + stdinChunk));
    await stream.closeStdin();
  };
  send().catch(() => undefined);
}

/** The newest characters of a stream. */
class Kept {
  dropped = 0;
  private pieces: string[] = [];
  private length = 0;

  add(piece: string): void {
    this.pieces.push(piece);
    this.length += piece.length;
    if (this.length > 2 * keptOutput) this.cut();
  }

  text(): string {
    if (this.length > keptOutput) this.cut();
    return this.pieces.join("");
  }

  private cut(): void {
    const all = this.pieces.join("");
    this.dropped += all.length - keptOutput;
    this.pieces = [all.slice(-keptOutput)];
    this.length = keptOutput;
  }
}
