/**
 * Finds in a command's logs the place up to which its output was received, when the connection did not say where it goes
 * on. Pure. Logs may have lost their beginning, and may say so in a first line of their own.
 */

export interface Received {
  /** Counted from the command's start, as bytes and as UTF-16 units; undefined where that is not known. */
  bytes: number | undefined;
  chars: number | undefined;
  /** The last characters received; all of them while they are few. */
  tail: string;
}

export interface LogText {
  text: string;
  /** Bytes that the command wrote, and those at the start that are kept no more; where the service tells. */
  totalBytes?: number | undefined;
  droppedBytes?: number | undefined;
}

export interface Place {
  /** Index in the text at which what is new begins. */
  from: number;
  /** Bytes that are missing before it; undefined where nobody can know how many. */
  missing: number | undefined;
}

/** A shorter match may be chance. */
const evidenceChars = 64;

export function placeIn(log: LogText, received: Received): Place {
  return placeByCount(log, received) ?? placeByText(log.text, received);
}

/** Exact, where the service counts. */
function placeByCount({ text, totalBytes, droppedBytes }: LogText, received: Received): Place | undefined {
  if (totalBytes === undefined || droppedBytes === undefined || received.bytes === undefined)
    return undefined;
  const raw = Buffer.from(text);
  const start = raw.length - (totalBytes - droppedBytes);
  // Where nothing was dropped the text is all there is; else it follows a line that says so.
  const fits = droppedBytes === 0 ? start === 0 : start >= 0 && (start === 0 || raw[start - 1] === 0x0a);
  if (!fits) return undefined; // Bytes that are no UTF-8 take another room as text.
  const at = Math.max(received.bytes, droppedBytes);
  const cut = start + at - droppedBytes;
  if (cut > raw.length || ((raw[cut] ?? 0) & 0xc0) === 0x80) return undefined;
  return { from: raw.subarray(0, cut).toString().length, missing: at - received.bytes };
}

function placeByText(text: string, { chars, tail }: Received): Place {
  if (chars !== undefined && text.length >= chars && text.startsWith(tail, chars - tail.length)) {
    return { from: chars, missing: 0 };
  }
  if (tail === "") return { from: text.length, missing: undefined };
  const needle = tail.slice(-evidenceChars);
  const last = text.lastIndexOf(needle);
  if (last < 0) return { from: afterOverlap(tail, text), missing: undefined };
  const from = last + needle.length;
  // The last place is taken: a byte may then be missing, but none comes twice.
  const isOnly = needle.length === evidenceChars && text.indexOf(needle) === last;
  return { from, missing: isOnly && reachesStart(text, from, tail) ? 0 : undefined };
}

/** True when all that stands before `end` was received, but for a first line of the log's own. */
function reachesStart(text: string, end: number, tail: string): boolean {
  let same = 0;
  while (same < tail.length && same < end && text[end - 1 - same] === tail[tail.length - 1 - same]) same++;
  const start = end - same;
  return same === tail.length || start === 0 || text.indexOf("\n") === start - 1;
}

/**
 * Behind what the end of `tail` and the start of the text have in common, or the text behind a first line of the log's own:
 * the longer one. Next to a gap of unknown size a line too few is honest, one that comes twice is not.
 */
function afterOverlap(tail: string, text: string): number {
  const second = text.indexOf("\n") + 1;
  const here = overlap(tail, text);
  const there = overlap(tail, text.slice(second, second + tail.length));
  return there > here ? second + there : here;
}

/** Length of the longest end of `tail` with which `text` begins. */
function overlap(tail: string, text: string): number {
  for (let length = Math.min(tail.length, text.length); length > 0; length--) {
    if (text.startsWith(tail.slice(-length))) return length;
  }
  return 0;
}
