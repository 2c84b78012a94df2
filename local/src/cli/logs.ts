/** `machines-local logs`: the log for people, and what comes. */
import { closeSync, existsSync, fstatSync, openSync, readFileSync, readSync, statSync, watch } from "node:fs";
import { StringDecoder } from "node:string_decoder";
import { statePaths } from "../state-folder";
import { logLine } from "./log-line";

export interface LogFlags {
  state: string;
  follow?: boolean;
  lines: number;
  json?: boolean;
}

export function logs(flags: LogFlags): void {
  const { log, logDir } = statePaths(flags.state);
  if (!existsSync(log))
    throw new Error(`there is no log at ${log}: no control plane ever ran on this state folder`);
  // The reader of a pipe may leave when it has seen enough: `logs | head`.
  process.stdout.on("error", () => process.exit(0));
  const show = (line: string) => {
    if (line !== "") process.stdout.write(`${flags.json ? line : logLine(line)}\n`);
  };
  const older = existsSync(`${log}.1`) ? readFileSync(`${log}.1`, "utf8") : "";
  const tail = new Tail(log, show);
  const past = `${older}${tail.skipToEnd()}`.split("\n").filter((line) => line !== "");
  for (const line of past.slice(Math.max(0, past.length - flags.lines))) show(line);
  if (!flags.follow) {
    tail.close();
    return;
  }
  watch(logDir, () => {
    tail.read();
  });
  // Between the reading above and the watch, something may have come.
  tail.read();
}

/** Reads what is appended to a file, also when a new file takes its place. */
class Tail {
  private fd: number;
  private offset = 0;
  private rest = "";
  private decoder = new StringDecoder("utf8");

  constructor(
    private readonly path: string,
    private readonly onLine: (line: string) => void,
  ) {
    this.fd = openSync(path, "r");
  }

  skipToEnd(): string {
    const text = this.more();
    const end = text.lastIndexOf("\n") + 1;
    this.rest = text.slice(end);
    return text.slice(0, end);
  }

  read(): void {
    this.lines(this.more());
    if (!existsSync(this.path) || statSync(this.path).ino === fstatSync(this.fd).ino) return;
    // The log was rotated: the old file has been read to its end.
    closeSync(this.fd);
    this.fd = openSync(this.path, "r");
    this.offset = 0;
    this.decoder = new StringDecoder("utf8");
    this.lines(this.more());
  }

  close(): void {
    closeSync(this.fd);
  }

  private lines(text: string): void {
    const lines = (this.rest + text).split("\n");
    this.rest = lines.pop() ?? "";
    for (const line of lines) this.onLine(line);
  }

  private more(): string {
    const buffer = Buffer.alloc(65_536);
    let text = "";
    for (;;) {
      const bytes = readSync(this.fd, buffer, 0, buffer.length, this.offset);
      if (bytes === 0) return text;
      this.offset += bytes;
      text += this.decoder.write(buffer.subarray(0, bytes));
    }
  }
}
