/** Reads a command's output file in pieces that never cut a UTF-8 character in two. */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { open } from "node:fs/promises";
import { setImmediate as breathe } from "node:timers/promises";

/** Largest piece, in bytes. */
export const pieceBytes = 65_536;
/** Between them others get their turn. */
const piecesABreath = 64;
/** The longest UTF-8 character. */
const characterBytes = 4;

/** How many bytes at the start of `bytes` are whole UTF-8 characters; broken ones count as whole. */
export function wholeCharacters(bytes: Uint8Array): number {
  // A character has at most 4 bytes: look back at most 3 for one that has begun and not ended.
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back] ?? 0;
    if ((byte & 0b1100_0000) === 0b1000_0000) continue;
    const length = byte >= 0b1111_0000 ? 4 : byte >= 0b1110_0000 ? 3 : byte >= 0b1100_0000 ? 2 : 1;
    return length > back ? bytes.length - back : bytes.length;
  }
  return bytes.length;
}

/**
 * Where the next pieces begin and end, from `from` to the end of the file; the last may wait for its other half. Not the output
 * is read, which may be much, but a few bytes of it that were written just now: waiting for a thread would cost more.
 */
export async function* pieces(
  path: string,
  from: number,
  ended: boolean,
): AsyncGenerator<{ from: number; to: number }> {
  const file = openNow(path);
  if (file === undefined) return;
  try {
    const { size } = fstatSync(file);
    let count = 0;
    for (let at = from; at < size;) {
      const limit = Math.min(at + pieceBytes, size);
      const to = ended && limit === size ? limit : limit - brokenBytes(file, at, limit);
      if (to === at) return;
      yield { from: at, to };
      at = to;
      if (++count % piecesABreath === 0) await breathe();
    }
  } finally {
    closeSync(file);
  }
}

function openNow(path: string): number | undefined {
  try {
    return openSync(path, "r");
  } catch {
    return undefined; // its command has been forgotten
  }
}

/** How many bytes before `to` belong to a character that goes on after it. */
function brokenBytes(file: number, from: number, to: number): number {
  const tail = Buffer.alloc(Math.min(characterBytes, to - from));
  const length = readSync(file, tail, 0, tail.length, to - tail.length);
  return length - wholeCharacters(tail.subarray(0, length));
}

/** The text of bytes [from, to) of a file; broken UTF-8 becomes U+FFFD. Empty when the file is gone. */
export async function textBetween(path: string, from: number, to: number): Promise<string> {
  const file = await open(path, "r").catch(() => undefined);
  if (!file) return "";
  try {
    const buffer = Buffer.alloc(Math.max(to - from, 0));
    const { bytesRead } = await file.read(buffer, 0, buffer.length, from);
    return buffer.toString("utf8", 0, bytesRead);
  } finally {
    await file.close();
  }
}
