/** What can be written to a file of a machine, as bytes of known or unknown length. */
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { Readable } from "node:stream";
import { UsageError } from "../errors";

/**
 * Text (as UTF-8), bytes, a file of this computer, or a stream. A stream whose length is given can be sent in parts, and a
 * part that gets lost is sent again; one without is sent as it comes, once.
 */
export type FileSource =
  | string
  | Uint8Array
  | { file: string }
  | { stream: AsyncIterable<Uint8Array>; sizeBytes: number }
  | AsyncIterable<Uint8Array>;

export interface OpenSource {
  /** Undefined when nobody knows. */
  sizeBytes: number | undefined;
  /** True when it can be read from its start again. */
  repeatable: boolean;
  /** From the start; a source that is not repeatable has only one. */
  read(): AsyncIterable<Uint8Array>;
  /** All of it, where it is in memory already. */
  bytes?: Uint8Array;
}

/** @throws UsageError `unreadable_source` for a file that is not there · `invalid_argument` */
export async function openSource(source: FileSource): Promise<OpenSource> {
  if (typeof source === "string") return ofBytes(Buffer.from(source, "utf8"));
  if (source instanceof Uint8Array) return ofBytes(source);
  if (Symbol.asyncIterator in source) {
    return { sizeBytes: undefined, repeatable: false, read: () => guarded(source) };
  }
  if ("stream" in source) {
    const { stream, sizeBytes } = source;
    if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0) {
      throw new UsageError({
        message: `write a file: the size of the stream must be a whole number of bytes, not ${String(sizeBytes)}`,
        code: "invalid_argument",
      });
    }
    return { sizeBytes, repeatable: false, read: () => guarded(stream) };
  }
  return ofFile(source.file);
}

const ofBytes = (bytes: Uint8Array): OpenSource => ({
  sizeBytes: bytes.length,
  repeatable: true,
  bytes,

  read: async function* () {
    yield bytes;
  },
});

async function ofFile(path: string): Promise<OpenSource> {
  let size: number;
  try {
    const found = await stat(path);
    if (!found.isFile()) throw new Error("it is no regular file");
    size = found.size;
  } catch (error) {
    throw unreadable(`${path}: ${(error as Error).message}`, error);
  }
  return { sizeBytes: size, repeatable: true, read: () => guarded(createReadStream(path)) };
}

/** What goes wrong in the caller's stream is told apart from what goes wrong on the way to the service. */
async function* guarded(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  try {
    for await (const chunk of stream) {
      if (!(chunk instanceof Uint8Array)) throw new Error("the stream gave something that is no bytes");
      yield chunk;
    }
  } catch (error) {
    throw unreadable(error instanceof Error ? error.message : String(error), error);
  }
}

const unreadable = (why: string, cause: unknown): UsageError =>
  new UsageError({
    message: `write a file: its source cannot be read: ${why}`,
    code: "unreadable_source",
    cause,
  });

/** @throws UsageError `unreadable_source` when there are more or fewer bytes than were announced */
export async function* sized(
  chunks: AsyncIterable<Uint8Array>,
  sizeBytes: number,
): AsyncGenerator<Uint8Array, void> {
  let read = 0;
  for await (const chunk of chunks) {
    read += chunk.length;
    if (read > sizeBytes) break;
    yield chunk;
  }
  if (read === sizeBytes) return;
  throw new UsageError({
    message:
      `write a file: its source has ${read > sizeBytes ? "more" : `only ${String(read)}`} bytes ` +
      `where ${String(sizeBytes)} were announced; did it change meanwhile?`,
    code: "unreadable_source",
  });
}

/** Chunks as a stream that an HTTP library sends; `onBytes` is told how much was taken. */
export const asReadable = (chunks: AsyncIterable<Uint8Array>, onBytes: (bytes: number) => void): Readable =>
  Readable.from(counted(chunks, onBytes), { objectMode: false });

async function* counted(
  chunks: AsyncIterable<Uint8Array>,
  onBytes: (bytes: number) => void,
): AsyncGenerator<Uint8Array, void> {
  for await (const chunk of chunks) {
    onBytes(chunk.length);
    yield chunk;
  }
}

/** The source in pieces of this size; the last one may be shorter. */
export async function* inParts(
  chunks: AsyncIterable<Uint8Array>,
  partSize: number,
): AsyncGenerator<Buffer, void> {
  let held: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of chunks) {
    let rest = chunk;
    while (size + rest.length >= partSize) {
      const taken = partSize - size;
      yield Buffer.concat([...held, rest.subarray(0, taken)]);
      rest = rest.subarray(taken);
      held = [];
      size = 0;
    }
    if (rest.length > 0) {
      held.push(rest);
      size += rest.length;
    }
  }
  if (size > 0) yield Buffer.concat(held);
}
