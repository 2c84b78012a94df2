/** Reads a command's stream to its end, for callbacks and for a result that holds the output. */
import { collectDefaults, Collector } from "./command-collector";
import type { CommandResult, CommandStream } from "./command-stream";
import type { OutputGap } from "./exec-output";

export interface CollectOptions {
  /** Called for each piece, in order; the next one waits for what it returns. */
  onStdout?: ((data: string) => unknown) | undefined;
  onStderr?: ((data: string) => unknown) | undefined;
  /** Called where output is missing. */
  onGap?: ((gap: OutputGap) => unknown) | undefined;
  /** Of each stream, in the result; default 8 MiB. Past it the oldest output goes, and the result is not `complete`. */
  maxOutputBytes?: number | undefined;
}

/** Reads a stream to its end for its callbacks and its result. */
export async function collect(
  stream: CommandStream,
  { onStdout, onStderr, onGap, maxOutputBytes = collectDefaults.maxOutputBytes }: CollectOptions,
): Promise<CommandResult & { stdout: string; stderr: string }> {
  const kept = new Collector(maxOutputBytes);
  for await (const piece of stream) {
    kept.add(piece);
    const told =
      piece.kind === "gap"
        ? onGap?.({ stream: piece.stream, offset: piece.offset, bytes: piece.bytes })
        : (piece.stream === "stdout" ? onStdout : onStderr)?.(piece.data);
    if (told instanceof Promise) await told;
  }
  const result = await stream.result;
  return { ...result, ...kept.result(result.gaps) };
}
