/** Runs `driver-child.ts` and calls it. */
import { spawn, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { EventEmitter, once } from "node:events";
import { chownSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

export interface Finished {
  exitCode: number | null;
  signal: number | null;
  startError?: string;
  /** The first 4096 bytes. */
  stdout: string;
  stderr: string;
  /** All of stdout. */
  bytes: number;
}

interface Message {
  n?: number;
  value?: unknown;
  error?: { message: string; reason?: string; retryable?: boolean };
  event?: string;
  id?: string;
  words?: string;
  line?: string;
}

export const isRoot = process.getuid?.() === 0;
export const nobody = 65_534;

/** An empty state folder that belongs to `uid`. */
export function makeStateDir(uid: number): string {
  const path = mkdtempSync(join(tmpdir(), "machines-driver-"));
  if (isRoot) chownSync(path, uid, uid);
  return path;
}

export const removeStateDir = (path: string): void => rmSync(path, { recursive: true, force: true });

export class ControlPlaneProcess extends EventEmitter {
  private count = 0;
  readonly logged: string[] = [];

  private constructor(private readonly child: ChildProcess) {
    super({ captureRejections: true });
    this.setMaxListeners(100);
    if (!child.stdout) throw new Error("no pipe");
    createInterface({ input: child.stdout }).on("line", (line) => {
      const message = JSON.parse(line) as Message;
      if (message.event === "log") this.logged.push(message.line ?? "");
      this.emit(message.n === undefined ? String(message.event) : `answer ${message.n}`, message);
    });
  }

  static async start(options: {
    name: string;
    stateDir: string;
    uid: number;
    /** Stands before the command. */
    wrap?: string[];
  }): Promise<ControlPlaneProcess> {
    const [program = "", ...args] = [
      ...(options.wrap ?? []),
      ...[process.execPath, "-r", join(__dirname, "load-ts.cjs"), join(__dirname, "driver-child.ts")],
      ...[options.name, options.stateDir],
    ];
    const child = spawn(program, args, {
      stdio: ["pipe", "pipe", "inherit"],
      ...(isRoot ? { uid: options.uid, gid: options.uid } : {}),
    });
    const self = new ControlPlaneProcess(child);
    const failed = once(self, "failed").then(([message]: Message[]) => {
      throw Object.assign(new Error(message?.error?.message), message?.error);
    });
    await Promise.race([once(self, "ready"), failed]);
    return self;
  }

  async call<T = unknown>(method: string, ...args: unknown[]): Promise<T> {
    const n = ++this.count;
    const answered = once(this, `answer ${n}`) as Promise<[Message]>;
    this.child.stdin?.write(`${JSON.stringify({ n, method, args })}\n`);
    const [{ value, error }] = await answered;
    if (error) throw Object.assign(new Error(error.message), error);
    return value as T;
  }

  /** Asks without waiting: what follows is a kill. */
  send(method: string, ...args: unknown[]): void {
    this.child.stdin?.write(`${JSON.stringify({ n: ++this.count, method, args })}\n`);
  }

  /** Runs a command to its end. */
  async run(machineId: string, command: string[], more: object = {}): Promise<Finished> {
    const id = `x${randomBytes(6).toString("hex")}`;
    await this.call("exec", machineId, id, command, more);
    return this.call<Finished>("finished", id);
  }

  sh(machineId: string, script: string, more: object = {}): Promise<Finished> {
    return this.run(machineId, ["sh", "-c", script], more);
  }

  async kill9(): Promise<void> {
    const ended = once(this.child, "exit");
    this.child.kill("SIGKILL");
    await ended;
  }

  async end(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = once(this.child, "exit");
    this.child.stdin?.end();
    await ended;
  }
}
