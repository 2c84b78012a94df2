/**
 * Where in a command's output we are, byte by byte: what arrives is handed on once and in order, and what is missing is
 * said. One per stream. Pure.
 */
export type OutputStream = "stdout" | "stderr";

export interface OutputGap {
  stream: OutputStream;
  /** Where the missing bytes begin, counted from the command's first. */
  offset: number;
  /** How many are missing; undefined where nobody can know. */
  bytes: number | undefined;
}

/** A piece of output, or the place where some is missing. */
export type CommandOutput =
  | {
      kind: "output";
      stream: OutputStream;
      data: string;
      /** Bytes of this stream before `data`, as far as they are known. */
      offset: number;
    }
  /** `data` is empty, so that who only prints needs to know nothing of gaps. */
  | ({ kind: "gap"; data: "" } & OutputGap);

/** Characters at the end of what was handed on that are remembered, to find the place again in the logs. */
export const tailChars = 4_096;

export class OutputPosition {
  /** Bytes handed on or known to be missing. */
  bytes = 0;
  /** The same place as an index in the text of the logs; undefined where it is not known. */
  chars: number | undefined = 0;
  /** True where nobody can know how many bytes the command wrote before this place. */
  isVague = false;
  /** Where the service's next frame begins; undefined: it does not say. */
  private cursor: number | undefined;
  private recent: string[] = [];
  private recentChars = 0;

  constructor(
    readonly stream: OutputStream,
    private readonly gaps: OutputGap[],
  ) {}

  /** The service goes on sending from here; undefined: from a place that it does not name. */
  begin(offset: number | undefined): void {
    this.cursor = offset;
  }

  /** Reading begins in the middle, and nothing before it is wanted; undefined: at a byte that the service does not name. */
  startAt(offset: number | undefined): void {
    this.bytes = offset ?? 0;
    this.chars = offset === 0 ? 0 : undefined;
    this.isVague = offset === undefined;
  }

  /** A frame: `offset` and `length` in bytes where the service tells them. */
  frame(data: string, offset: number | undefined, length: number | undefined, out: CommandOutput[]): void {
    const at = offset ?? this.cursor;
    const size = length ?? Buffer.byteLength(data);
    if (at === undefined) return this.append(data, size, out);
    if (this.isVague) this.bytes = at;
    this.isVague = false;
    this.cursor = at + size;
    if (at > this.bytes) this.missing(at - this.bytes, out);
    if (at === this.bytes) return this.append(data, size, out);
    const known = this.bytes - at;
    if (known >= size) return;
    const rest = withoutFirst(data, known, size);
    // A frame that overlaps where it cannot be cut: what it adds is lost rather than repeated.
    if (rest === undefined) this.missing(size - known, out);
    else this.append(rest, size - known, out);
  }

  /** The service says that it does not have these bytes. */
  skipped(offset: number, bytes: number, out: CommandOutput[]): void {
    this.cursor = offset + bytes;
    if (this.cursor > this.bytes) this.missing(this.cursor - this.bytes, out);
  }

  /** The command has ended after so many bytes, where the service tells. */
  end(total: number | undefined, out: CommandOutput[]): void {
    if (total !== undefined && total > this.bytes && !this.isVague) this.missing(total - this.bytes, out);
  }

  /** Output whose place was found in the logs. */
  append(data: string, bytes: number, out: CommandOutput[]): void {
    if (data === "") return;
    out.push({ kind: "output", stream: this.stream, data, offset: this.bytes });
    this.bytes += bytes;
    if (this.chars !== undefined) this.chars += data.length;
    this.remember(data);
  }

  /** @param bytes undefined where nobody can know how many */
  missing(bytes: number | undefined, out: CommandOutput[]): void {
    const gap: OutputGap = { stream: this.stream, offset: this.bytes, bytes };
    this.gaps.push(gap);
    out.push({ kind: "gap", data: "", ...gap });
    this.chars = undefined;
    if (bytes === undefined) this.isVague = true;
    else this.bytes += bytes;
  }

  /** The last characters handed on: all of them while they are few. */
  tail(): string {
    const text = this.recent.join("");
    this.recent = text === "" ? [] : [text.slice(-tailChars)];
    this.recentChars = Math.min(text.length, tailChars);
    return this.recent[0] ?? "";
  }

  private remember(data: string): void {
    if (data.length >= tailChars) this.recent.length = this.recentChars = 0;
    this.recent.push(data);
    this.recentChars += data.length;
    if (this.recent.length > 256 || this.recentChars > 64 * tailChars) this.tail();
  }
}

/** `data` without its first bytes; undefined where that would cut a character, or its bytes are not what it stands for. */
function withoutFirst(data: string, bytes: number, size: number): string | undefined {
  const raw = Buffer.from(data);
  if (raw.length !== size || ((raw[bytes] ?? 0) & 0xc0) === 0x80) return undefined;
  return raw.subarray(bytes).toString();
}
