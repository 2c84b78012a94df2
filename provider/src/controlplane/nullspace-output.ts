/** What a command wrote to one stream: its newest characters, however much it is. */
import { isFirstHalf } from "./nullspace-stdin";

/** In characters. */
const keptOutput = 4 * 1024 * 1024;

export class KeptOutput {
  private dropped = 0;
  private pieces: string[] = [];
  private length = 0;

  constructor(private readonly name: "stdout" | "stderr") {}

  add(piece: string): void {
    this.pieces.push(piece);
    this.length += piece.length;
    if (this.length > 2 * keptOutput) this.cut();
  }

  text(): string {
    if (this.length > keptOutput) this.cut();
    return this.pieces.join("");
  }

  /** What is not there any more, in words. */
  cuts(): string[] {
    return this.dropped > 0 ? [`the first ${String(this.dropped)} characters of ${this.name}`] : [];
  }

  private cut(): void {
    const all = this.pieces.join("");
    let from = all.length - keptOutput;
    if (isFirstHalf(all.charCodeAt(from - 1))) from += 1;
    this.dropped += from;
    this.pieces = [all.slice(from)];
    this.length = all.length - from;
  }
}
