/** Output as lines on a terminal: whole ones, masked, and no flood; and the last of them for a failure. */
import type { Clock } from "../context";
import { oneLine } from "../one-line";
import type { Mask } from "./mask";

type Stream = "stdout" | "stderr";

/** What a row of the CLI, and a log of CI, can take. */
const linesPerSecond = 50;
const longestLine = 400;
const tailLines = 20;
/** A line of more characters, and of the longest secret, is shown before its end has come, and its rest is not. */
const longestUnfinished = 8_192;

/** A carriage return begins the line anew, as progress bars do; one at the end may belong to a line break. */
const newestOf = (text: string): string => text.slice(text.lastIndexOf("\r", text.length - 2) + 1);

export class OutputLines {
  private readonly unfinished = { stdout: "", stderr: "" };
  /** The line was shown already, as far as it is. */
  private readonly isOverlong = { stdout: false, stderr: false };
  private readonly newest: string[] = [];
  private windowAt = 0;
  private inWindow = 0;
  private skipped = 0;

  constructor(
    private readonly show: (line: string) => void,
    private readonly shown: Record<Stream, boolean>,
    private readonly mask: Mask,
    private readonly clock: Pick<Clock, "now">,
    /** Of the longest secret, in characters. */
    private readonly longestSecret = 0,
  ) {}

  add(stream: Stream, text: string): void {
    const lines = (this.unfinished[stream] + text).split("\n");
    const rest = lines.pop() ?? "";
    for (const line of lines) this.ended(stream, line);
    this.unfinished[stream] = this.isOverlong[stream] ? "" : newestOf(rest);
    if (this.unfinished[stream].length <= longestUnfinished + this.longestSecret) return;
    // The end may be the beginning of a secret.
    this.line(stream, this.unfinished[stream], this.longestSecret);
    this.unfinished[stream] = "";
    this.isOverlong[stream] = true;
  }

  /** The command has ended: what has no line break is a line, too. */
  end(): void {
    for (const stream of ["stdout", "stderr"] as const) {
      this.ended(stream, this.unfinished[stream]);
      this.unfinished[stream] = "";
    }
    this.saySkipped();
  }

  /** The last lines, both streams in the order in which they came. */
  tail(): readonly string[] {
    return this.newest;
  }

  private ended(stream: Stream, text: string): void {
    if (!this.isOverlong[stream]) this.line(stream, newestOf(text.replace(/\r$/, "")));
    this.isOverlong[stream] = false;
  }

  private line(stream: Stream, text: string, withheld = 0): void {
    const masked = this.mask(text);
    const plain = oneLine(masked.slice(0, Math.max(0, masked.length - withheld)));
    if (plain === "") return;
    const line = plain.length > longestLine ? `${plain.slice(0, longestLine)}...` : plain;
    this.newest.push(line);
    if (this.newest.length > tailLines) this.newest.shift();
    if (!this.shown[stream]) return;
    const now = this.clock.now();
    if (now - this.windowAt >= 1_000) {
      this.saySkipped();
      this.windowAt = now;
      this.inWindow = 0;
    }
    this.inWindow += 1;
    if (this.inWindow > linesPerSecond) this.skipped += 1;
    else this.show(line);
  }

  private saySkipped(): void {
    if (this.skipped === 0) return;
    this.show(`(${String(this.skipped)} lines are not shown)`);
    this.skipped = 0;
  }
}
