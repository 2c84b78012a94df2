/**
 * What is sent to a running command: bytes for its stdin, and its terminal's size. All goes through named pipes in its
 * folder, each opened anew, so that nothing is lost with the control plane. No pipe is ever opened or written in a way that
 * waits in a thread of ours.
 */
import { close as closeFile, constants, open as openFile, write as writeFile } from "node:fs";
import { stat } from "node:fs/promises";
import { Socket } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { DriverError, type TerminalSize } from "../driver";
import { hasBegun } from "./exec-spool";
import { waitUntil } from "./wait-until";

// Plain descriptors: a socket closes its own, and a FileHandle would close the number again later.
const [open, close, write] = [promisify(openFile), promisify(closeFile), promisify(writeFile)];

/** How long a command may take to open its stdin, or what holds it to close it, in milliseconds. */
const patienceMs = 10_000;

export class ExecInput {
  private last: Promise<unknown> = Promise.resolve();
  private closed = false;

  constructor(
    private readonly folder: string,
    private readonly hasEnded: () => Promise<boolean>,
  ) {}

  /** One after the other, in the order of asking. @throws DriverError stdin_closed; the signal's reason. */
  write(data: Uint8Array, signal?: AbortSignal): Promise<void> {
    return this.inTurn(async () => {
      signal?.throwIfAborted();
      if (this.closed) throw closedError("its stdin was closed before");
      const pipe = await this.openStdin(signal);
      if (pipe === undefined) throw closedError("its stdin is closed, or it has ended");
      await writeAll(pipe, data, signal);
    });
  }

  close(): Promise<void> {
    return this.inTurn(async () => {
      if (this.closed) return;
      // What holds the pipe open ends, and removes its name as the sign of it.
      const isClosed = async (): Promise<boolean> => {
        if (!(await exists(join(this.folder, "stdin"))) || (await this.hasEnded())) return true;
        await this.tell("close", "\n");
        return false;
      };
      if (!(await exists(join(this.folder, "close"))))
        throw closedError("its stdin was never open, or it has ended");
      if (!(await waitUntil(isClosed, { withinMs: patienceMs }))) {
        throw new DriverError("exec_failed", "its stdin could not be closed: try again", true);
      }
      this.closed = true;
    });
  }

  /** Resolves when the terminal has the size. @throws DriverError not_a_terminal. */
  resize({ cols, rows }: TerminalSize): Promise<void> {
    return this.inTurn(async () => {
      const sizes = join(this.folder, "sizes");
      const before = await sizeOf(sizes);
      if (!(await exists(join(this.folder, "size")))) {
        throw new DriverError("not_a_terminal", "the command has no terminal, or has ended", false);
      }
      let told = false;
      const isSet = async (): Promise<boolean> => {
        told ||= await this.tell("size", `size ${String(cols)} ${String(rows)}\n`);
        return (await sizeOf(sizes)) > before || (await this.hasEnded());
      };
      if (await waitUntil(isSet, { withinMs: patienceMs, everyMs: 2 })) return;
      throw new DriverError("exec_failed", "the terminal did not take its new size: try again", true);
    });
  }

  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.last.then(work, work);
    this.last = mine.catch(() => undefined);
    return mine;
  }

  /** Undefined when nobody reads it, and nobody will. */
  private async openStdin(signal?: AbortSignal): Promise<number | undefined> {
    const path = join(this.folder, "stdin");
    const pipe = await openPipe(path);
    if (pipe !== undefined || !(await exists(path))) return pipe;
    // A command that has not begun has not opened it yet.
    const mayRead = async (): Promise<boolean> =>
      signal?.aborted === true || (await hasBegun(this.folder)) || (await this.hasEnded());
    await waitUntil(mayRead, { withinMs: patienceMs, everyMs: 2 });
    signal?.throwIfAborted();
    return openPipe(path);
  }

  /** False while nobody listens. */
  private async tell(name: "close" | "size", text: string): Promise<boolean> {
    const pipe = await openPipe(join(this.folder, name));
    if (pipe === undefined) return false;
    try {
      await write(pipe, text); // shorter than what a pipe takes at once
      return true;
    } catch (error) {
      if (codeOf(error) === "EAGAIN") return false;
      throw error;
    } finally {
      await close(pipe);
    }
  }
}

/** Undefined when nobody reads it, or it is not there. */
async function openPipe(path: string): Promise<number | undefined> {
  try {
    return await open(path, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (["ENXIO", "ENOENT"].includes(codeOf(error) ?? "")) return undefined;
    throw error;
  }
}

/** Waits for the reader as the event loop does, in no thread. */
async function writeAll(pipe: number, data: Uint8Array, signal?: AbortSignal): Promise<void> {
  const socket = new Socket({ fd: pipe, readable: false, writable: true });
  const over = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  try {
    await new Promise<void>((resolve, reject) => {
      const abort = (): void => void socket.destroy(signal?.reason as Error);
      signal?.addEventListener("abort", abort, { once: true });
      socket.once("error", reject);
      socket.once("close", () => {
        signal?.removeEventListener("abort", abort);
        reject(
          signal?.aborted ? (signal.reason as Error) : closedError("it did not read its stdin to the end"),
        );
      });
      socket.write(data, (error) => {
        if (!error) resolve();
      });
    });
  } catch (error) {
    if (codeOf(error) === "EPIPE") throw closedError("it has closed its stdin, or has ended");
    throw error;
  } finally {
    socket.destroy();
    await over;
  }
}

const closedError = (words: string): DriverError =>
  new DriverError("stdin_closed", `nothing can be sent to the command: ${words}`, false);

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code;

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

const sizeOf = (path: string): Promise<number> =>
  stat(path).then(
    (file) => file.size,
    () => 0,
  );
