/** Keeps the newest output of a command, up to a bound for each stream. */
import type { CommandOutput, OutputGap, OutputStream } from "./exec-output";

export const collectDefaults = {
  /** Of each stream, in bytes: 8 MiB, as much as a control plane keeps. */
  maxOutputBytes: 8 * 1024 * 1024,
} as const;

/** Small pieces are joined to this many characters, so that many of them do not cost more than their text. */
const joinedChars = 64 * 1024;

class NewestText {
  droppedBytes = 0;
  private pieces: { text: string; bytes: number }[] = [];
  private bytes = 0;

  constructor(private readonly maxBytes: number) {}

  add(text: string): void {
    const bytes = Buffer.byteLength(text);
    const last = this.pieces.at(-1);
    if (last && last.text.length + text.length <= joinedChars) {
      last.text += text;
      last.bytes += bytes;
    } else this.pieces.push({ text, bytes });
    this.bytes += bytes;
    let drop = 0;
    for (;;) {
      const first = this.pieces[drop];
      if (!first || this.bytes - first.bytes < this.maxBytes) break;
      this.bytes -= first.bytes;
      this.droppedBytes += first.bytes;
      drop++;
    }
    if (drop > 0) this.pieces.splice(0, drop);
  }

  text(): string {
    const all = this.pieces.map(({ text }) => text).join("");
    if (this.bytes <= this.maxBytes) return all;
    const raw = Buffer.from(all);
    let from = raw.length - this.maxBytes;
    while (((raw[from] ?? 0) & 0xc0) === 0x80) from++; // Not in the middle of a character.
    this.droppedBytes += from;
    this.pieces = [];
    return raw.subarray(from).toString();
  }
}

export class Collector {
  private readonly kept: Readonly<Record<OutputStream, NewestText>>;

  /** @param maxBytes of each stream: past it the oldest output goes, and the result says how much */
  constructor(maxBytes: number) {
    this.kept = { stdout: new NewestText(maxBytes), stderr: new NewestText(maxBytes) };
  }

  add({ stream, data }: Pick<CommandOutput, "stream" | "data">): void {
    if (data !== "") this.kept[stream].add(data);
  }

  /** @param gaps of the stream itself */
  result(gaps: readonly OutputGap[]): {
    stdout: string;
    stderr: string;
    complete: boolean;
    gaps: OutputGap[];
  } {
    const stdout = this.kept.stdout.text();
    const stderr = this.kept.stderr.text();
    const all = [...this.dropped("stdout"), ...this.dropped("stderr"), ...gaps];
    return { stdout, stderr, complete: all.length === 0, gaps: all };
  }

  private dropped(stream: OutputStream): OutputGap[] {
    const bytes = this.kept[stream].droppedBytes;
    return bytes === 0 ? [] : [{ stream, offset: 0, bytes }];
  }
}
