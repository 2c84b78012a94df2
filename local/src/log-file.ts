/** The log: JSON lines in a file of bounded size, with a few older ones beside it (`.1` is the newest of them). */
import { closeSync, fstatSync, openSync, renameSync, rmSync, writeSync } from "node:fs";

const defaultMaxBytes = 10 * 1_048_576;
const defaultKeep = 3;

export class LogFile {
  private fd: number;
  private bytes: number;
  private closed = false;

  /** @param maxBytes after which a new file begins @param keep how many older files stay */
  constructor(
    readonly path: string,
    private readonly maxBytes = defaultMaxBytes,
    private readonly keep = defaultKeep,
  ) {
    this.fd = openSync(path, "a", 0o600);
    this.bytes = fstatSync(this.fd).size;
  }

  /** Appends a line. Synchronous, so that the last words before a crash are there. */
  write(line: string): void {
    if (this.closed) return;
    if (this.bytes >= this.maxBytes) this.rotate();
    try {
      this.bytes += writeSync(this.fd, line);
    } catch {
      // A full disk must not end the control plane; machines and requests matter more than the log.
    }
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    closeSync(this.fd);
  }

  private rotate(): void {
    closeSync(this.fd);
    rmSync(`${this.path}.${String(this.keep)}`, { force: true });
    for (let at = this.keep - 1; at >= 1; at--) this.move(`${this.path}.${String(at)}`, at + 1);
    this.move(this.path, 1);
    this.fd = openSync(this.path, "a", 0o600);
    this.bytes = fstatSync(this.fd).size;
  }

  private move(from: string, to: number): void {
    try {
      renameSync(from, `${this.path}.${String(to)}`);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
  }
}
