/** Reads one of a command's output files, in blocks while much is there. */
import { closeSync, openSync, read as readFile, readSync } from "node:fs";
import { setImmediate as breathe } from "node:timers/promises";
import { promisify } from "node:util";
import { pieceBytes, wholeCharacters } from "../output";

const readInThread = promisify(readFile);
/** What is read of a file at once while much is there, at most. */
const blockBytes = 4 * pieceBytes;
/** A read that takes longer waits for a disk, in milliseconds; then threads do it for so many reads. */
const coldMs = 5;
const coldReads = 64;

/** Where the bytes come from. */
export interface OutputFile {
  path: () => string | undefined;
  /** The first byte that is still there. */
  kept: () => number;
}

export class StreamReader {
  private file: number | undefined;
  /** What was read and not taken yet; nothing while the reader is idle. */
  private pieces: Buffer[] = [];
  private limit = pieceBytes;
  /** Where blocks go that may be written over. */
  private buffer: Buffer | undefined;
  private cold = 0;

  /** With `overwrites`, a piece holds only until the next one is asked for. */
  constructor(
    private readonly source: OutputFile,
    private readonly overwrites: boolean,
  ) {}

  /** True when the next piece needs no reading. */
  get hasMore(): boolean {
    return this.pieces.length > 0;
  }

  /**
   * The piece that begins at `from`, where the last one ended: at most 64 KiB of whole characters. Empty where there is none
   * yet, or any more; undefined when it was dropped.
   * @param end where the output ends for good, once that is known: a character that is cut there comes as it is
   */
  async next(from: number, end: number | undefined): Promise<Buffer | undefined> {
    const left = (end ?? Infinity) - from;
    if (this.pieces.length === 0) {
      const block = await this.block(from);
      if (!block) return undefined;
      this.pieces = cut(block.subarray(0, left), block.length >= left);
      this.limit = block.length < this.limit ? pieceBytes : blockBytes;
      if (this.limit < blockBytes) this.buffer = undefined;
    }
    return (this.pieces.shift() ?? nothing).subarray(0, left);
  }

  close(): void {
    this.pieces = [];
    if (this.file !== undefined) closeSync(this.file);
    this.file = undefined;
  }

  private async block(from: number): Promise<Buffer | undefined> {
    if (this.source.kept() > from) return undefined;
    const block = await this.read(from);
    // Asked again: what is dropped while we read it reads as zeros.
    return this.source.kept() > from ? undefined : block;
  }

  private async read(from: number): Promise<Buffer> {
    const file = this.open();
    if (file === undefined) return nothing;
    const block = this.newBlock();
    if (this.cold > 0) {
      this.cold--;
      const { bytesRead } = await readInThread(file, block, 0, block.length, from);
      return block.subarray(0, bytesRead);
    }
    // What was written just now is in the system's memory: to copy it takes less than to wait for a thread.
    const begun = performance.now();
    const length = readSync(file, block, 0, block.length, from);
    if (performance.now() - begun > coldMs) this.cold = coldReads;
    // Nothing else may make us wait while much flows: others get their turn here.
    if (length === blockBytes) await breathe();
    return block.subarray(0, length);
  }

  private newBlock(): Buffer {
    if (!this.overwrites || this.limit < blockBytes) return Buffer.allocUnsafe(this.limit);
    return (this.buffer ??= Buffer.allocUnsafeSlow(blockBytes));
  }

  private open(): number | undefined {
    const path = this.source.path();
    if (path === undefined) return undefined;
    try {
      return (this.file ??= openSync(path, "r"));
    } catch {
      return undefined; // its command has been forgotten
    }
  }
}

const nothing = Buffer.alloc(0);
/** What is left of four pieces when a character is cut at the end of each, and more. */
const crumbBytes = 16;

/** Pieces of whole characters; what is left of the last one begins the next block, if one comes. */
function cut(block: Buffer, isEnd: boolean): Buffer[] {
  const pieces: Buffer[] = [];
  for (let rest = block; rest.length > 0;) {
    const piece = rest.subarray(0, pieceBytes);
    const isTail = isEnd && piece.length === rest.length;
    const length = isTail ? piece.length : wholeCharacters(piece);
    // A few bytes would cost as much as a whole piece: they are read again with what comes after them.
    const isCrumb = pieces.length > 0 && !isTail && length < crumbBytes;
    if (length === 0 || isCrumb) break;
    pieces.push(piece.subarray(0, length));
    rest = rest.subarray(length);
  }
  return pieces;
}
