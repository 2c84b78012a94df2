/** Reads one of a command's output files in blocks, one block ahead of whoever reads while much is there. */
import { type FileHandle, open } from "node:fs/promises";
import { nextBlock, pieceBytes, wholeCharacters } from "../output";

/** What is read of a file at once while much is there, at most. */
const blockBytes = 4 * pieceBytes;

/** Where the bytes come from. */
export interface OutputFile {
  path: () => string | undefined;
  /** The first byte that is still there. */
  kept: () => number;
}

export class StreamReader {
  private file: FileHandle | undefined;
  /** What was read and not taken yet; nothing while the reader is idle. */
  private pieces: Buffer[] = [];
  /** The next block, which is read while the last one is on its way. */
  private ahead: { from: number; bytes: Promise<Buffer | undefined> } | undefined;
  private limit = pieceBytes;
  /** The block that is being taken and the one that is read ahead, by turns, where they may be written over. */
  private buffers: Buffer[] = [];

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
    if (this.pieces.length === 0) {
      const block = await this.block(from);
      if (!block) return undefined;
      const left = (end ?? Infinity) - from;
      this.pieces = cut(block.subarray(0, left), block.length >= left);
      this.limit = block.length < this.limit ? pieceBytes : blockBytes;
      if (this.limit === blockBytes) this.readAhead(from + total(this.pieces));
      else this.buffers = [];
    }
    return (this.pieces.shift() ?? nothing).subarray(0, (end ?? Infinity) - from);
  }

  async close(): Promise<void> {
    this.pieces = [];
    await this.ahead?.bytes.catch(() => undefined);
    await this.file?.close();
  }

  /** Where a whole block has come, there is likely to be another one. */
  private readAhead(from: number): void {
    const bytes = this.read(from);
    bytes.catch(() => undefined); // Thrown where it is awaited.
    this.ahead = { from, bytes };
  }

  private async block(from: number): Promise<Buffer | undefined> {
    const { ahead } = this;
    this.ahead = undefined;
    const early = await ahead?.bytes;
    // It may have ended, or been dropped, since.
    return ahead?.from === from && early?.length ? early : this.read(from);
  }

  private async read(from: number): Promise<Buffer | undefined> {
    if (this.source.kept() > from) return undefined;
    const file = await this.open();
    const bytes = file ? await nextBlock(file, from, this.buffer()) : nothing;
    // Asked again: what is dropped while we read it reads as zeros.
    return this.source.kept() > from ? undefined : bytes;
  }

  private buffer(): Buffer {
    if (!this.overwrites || this.limit < blockBytes) return Buffer.allocUnsafe(this.limit);
    // The older one: everything in it has been taken.
    const buffer = this.buffers.length < 2 ? Buffer.allocUnsafeSlow(blockBytes) : this.buffers.shift();
    if (buffer) this.buffers.push(buffer);
    return buffer ?? nothing;
  }

  private async open(): Promise<FileHandle | undefined> {
    const path = this.source.path();
    if (path !== undefined) this.file ??= await open(path, "r").catch(() => undefined);
    return this.file;
  }
}

const nothing = Buffer.alloc(0);
const total = (pieces: Buffer[]): number => pieces.reduce((sum, { length }) => sum + length, 0);

/** Pieces of whole characters; what is left of the last one begins the next block, if one comes. */
function cut(block: Buffer, isEnd: boolean): Buffer[] {
  const pieces: Buffer[] = [];
  for (let rest = block; rest.length > 0;) {
    const piece = rest.subarray(0, pieceBytes);
    const isTail = isEnd && piece.length === rest.length;
    const length = isTail ? piece.length : wholeCharacters(piece);
    // A few bytes beyond whole pieces would cost as much as a whole one.
    if (length === 0 || (pieces.length > 0 && !isTail && length < 4 * 4)) break;
    pieces.push(piece.subarray(0, length));
    rest = rest.subarray(length);
  }
  return pieces;
}
