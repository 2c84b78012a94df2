/**
 * Content on its way to a file program: "123\n" and 123 bytes, again and again, and at last "commit\n". The program knows
 * by it whether it got all: an end without it is an abort, also when the control plane was killed.
 */
import { once } from "node:events";
import type { Readable, Writable } from "node:stream";
import { PassThrough } from "node:stream";

/** A frame costs a process in the machine, so small chunks are collected. */
const frameBytes = 1_048_576;

/**
 * Sends all of `content`, then the commit, and ends `stdin`. Memory is bounded by two frames. The source is never
 * destroyed: it may be a request that still has to be answered.
 * @throws what the source failed with; `over.reason` when that aborts first. Without a commit then.
 */
export async function sendFrames(content: Readable, stdin: Writable, over: AbortSignal): Promise<void> {
  // Its reader may end early: whoever reads no more is told by the exit code, not by a broken pipe.
  stdin.on("error", () => undefined);
  const pass = new PassThrough({ highWaterMark: 65_536 });
  const failed = (error: Error): void => void pass.destroy(error);
  const closed = (): void => {
    if (content.readableEnded) return;
    pass.destroy(content.errored ?? new Error("the content was not sent to its end"));
  };
  const stop = (): void => void pass.destroy(over.reason as Error);
  content.once("error", failed).once("close", closed);
  over.addEventListener("abort", stop, { once: true });
  try {
    over.throwIfAborted();
    content.pipe(pass);
    if (content.readableEnded) pass.end();
    else if (content.destroyed) closed();
    await copy(pass, stdin);
    stdin.end("commit\n");
  } catch (error) {
    stdin.end();
    throw error;
  } finally {
    over.removeEventListener("abort", stop);
    content.off("error", failed).off("close", closed).unpipe(pass);
    // A late error of the source is nobody's any more.
    content.on("error", () => undefined);
    pass.destroy();
  }
}

async function copy(source: AsyncIterable<Buffer>, stdin: Writable): Promise<void> {
  let held: Buffer[] = [];
  let bytes = 0;
  const flush = async (): Promise<void> => {
    if (bytes === 0) return;
    stdin.cork();
    stdin.write(`${String(bytes)}\n`);
    for (const chunk of held) stdin.write(chunk);
    stdin.uncork();
    held = [];
    bytes = 0;
    if (stdin.writableNeedDrain) await drained(stdin);
  };
  for await (const chunk of source) {
    held.push(chunk);
    bytes += chunk.length;
    if (bytes >= frameBytes) await flush();
  }
  await flush();
}

async function drained(stdin: Writable): Promise<void> {
  if (stdin.destroyed) return;
  const done = new AbortController();
  await Promise.race([
    once(stdin, "drain", { signal: done.signal }),
    once(stdin, "close", { signal: done.signal }),
  ]).catch(() => undefined);
  done.abort();
}
