/** The content of a file on its way out, exactly as long as it was said to be. */
import { PassThrough, type Readable, Transform, pipeline } from "node:stream";
import { Refusal } from "../control-plane";
import { quoted } from "./path";
import type { Running } from "./program";

/**
 * Small content is read to its end first, so that its size is what came: files below /proc and /sys claim 0 or 4096 bytes
 * whatever they hold.
 */
const smallBytes = 4096;
const mostOfAnUnsized = 1_048_576;
const maxHeaderBytes = 32;

/** @throws Refusal before any byte comes. */
export async function openContent(
  running: Running,
  path: string,
): Promise<{ size: number; content: Readable }> {
  const { stdout } = running.program;
  const ended = running.done();
  ended.catch(() => undefined);
  const begin = await head(stdout);
  if (begin === undefined) {
    await ended;
    throw unreadable(path, "it ended before it said how large it is");
  }
  const { size, rest } = begin;
  stdout.unshift(rest);
  if (size <= smallBytes) {
    const content = await all(stdout, path);
    await ended;
    return { size: content.length, content: single(content) };
  }
  const content = pipeline(stdout, exactly(size, ended, path), () => undefined);
  return { size, content };
}

/** What the program says first: the size, and NUL. */
async function head(stdout: Readable): Promise<{ size: number; rest: Buffer } | undefined> {
  let seen = Buffer.alloc(0);
  for await (const chunk of stdout.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    seen = Buffer.concat([seen, chunk]);
    const nul = seen.indexOf(0);
    if (nul >= 0 && /^\d{1,15}$/.test(seen.toString("latin1", 0, nul))) {
      return { size: Number(seen.toString("latin1", 0, nul)), rest: seen.subarray(nul + 1) };
    }
    if (nul >= 0 || seen.length > maxHeaderBytes) {
      stdout.destroy();
      return undefined;
    }
  }
  return undefined;
}

async function all(stdout: Readable, path: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stdout as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > mostOfAnUnsized) throw unreadable(path, "it has no size and more than 1 MiB of content");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function single(content: Buffer): Readable {
  const stream = new PassThrough();
  stream.end(content);
  return stream;
}

/** A file that grows meanwhile is cut where it ended; one that shrinks is an error, since less than promised came. */
function exactly(size: number, ended: Promise<void>, path: string): Transform {
  let left = size;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const part = chunk.subarray(0, left);
      left -= part.length;
      done(null, part.length > 0 ? part : undefined);
    },
    flush(done) {
      if (left === 0) done();
      else ended.then(() => done(unreadable(path, "it shrank while it was read")), done);
    },
  });
}

const unreadable = (path: string, why: string): Refusal =>
  new Refusal("file_failed", `cannot read ${quoted(path)}: ${why}`);
