/** The real command as a child process: built, with a state folder of its own, and gone after the test. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { heldBy } from "../../../local/src/state-lock";

const root = resolve(__dirname, "../../..");
export const binary = join(root, "local/bin/machines-local.cjs");

export interface Ready {
  event: "ready";
  url: string;
  dedalus: string;
  nullspace: string;
  apiKey: string;
}

export interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Builds the package unless what is built is newer than every source. */
export function buildOnce(): void {
  const newest = Math.max(...["sdk", "local"].map((name) => newestIn(join(root, name, "src"))));
  const built = statSync(join(root, "local/dist/cli.js"), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const marked = statSync(join(root, "local/dist/.tsbuildinfo"), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  if (Math.max(built, marked) >= newest) return;
  execFileSync(process.execPath, [
    join(root, "node_modules/typescript/bin/tsc"),
    "--build",
    join(root, "local"),
  ]);
}

const newestIn = (folder: string): number =>
  Math.max(
    ...readdirSync(folder, { withFileTypes: true }).map((entry) =>
      entry.isDirectory() ? newestIn(join(folder, entry.name)) : statSync(join(folder, entry.name)).mtimeMs,
    ),
  );

export class Cli {
  readonly home = mkdtempSync(join(tmpdir(), "machines-cli-"));
  readonly state = join(this.home, "state");
  private readonly running = new Set<CliProcess>();

  /** Starts a command; `--state` is this test's own unless the arguments name one. */
  spawn(
    args: string[],
    { env = {}, state = this.state }: { env?: NodeJS.ProcessEnv; state?: string } = {},
  ): CliProcess {
    return this.spawnNode([binary, ...args, "--state", state], env);
  }

  /** Anything that Node runs, with nothing of this process's environment but the path. */
  spawnNode(args: string[], env: NodeJS.ProcessEnv = {}): CliProcess {
    const started = new CliProcess(args, { PATH: process.env["PATH"], HOME: this.home, ...env });
    this.running.add(started);
    return started;
  }

  async run(args: string[], options: { env?: NodeJS.ProcessEnv; state?: string } = {}): Promise<Ended> {
    return this.spawn(args, options).ended;
  }

  /** Starts a control plane that runs nothing, on a free port. */
  async start(
    args: string[] = [],
    env: NodeJS.ProcessEnv = {},
  ): Promise<{ process: CliProcess; ready: Ready }> {
    const started = this.spawn(["start", "--json", "--port", "0", "--driver", "null", ...args], { env });
    return { process: started, ready: await started.ready() };
  }

  /** Ends what the test left, in the background too, and removes its files. */
  async cleanUp(): Promise<void> {
    for (const left of this.running) left.child.kill("SIGKILL");
    await Promise.all([...this.running].map((left) => left.ended));
    const inBackground = heldBy(this.state);
    if (inBackground?.holder?.ownProcess) process.kill(inBackground.holder.pid, "SIGKILL");
    rmSync(this.home, { recursive: true, force: true });
  }
}

export class CliProcess {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  stdout = "";
  stderr = "";

  constructor(args: string[], env: NodeJS.ProcessEnv) {
    this.child = spawn(process.execPath, args, { env, stdio: ["ignore", "pipe", "pipe"] });
    this.child.stdout?.on("data", (chunk: Buffer) => (this.stdout += chunk.toString()));
    this.child.stderr?.on("data", (chunk: Buffer) => (this.stderr += chunk.toString()));
    this.ended = once(this.child, "close").then(([code]) => ({
      code: code as number | null,
      stdout: this.stdout,
      stderr: this.stderr,
    }));
  }

  async ready(): Promise<Ready> {
    return JSON.parse(await this.says(/^\{.*\}\n/)) as Ready;
  }

  /** Waits for a text on its standard output; fails when it ends without it. */
  async says(wanted: RegExp): Promise<string> {
    const found = () => wanted.exec(this.stdout)?.[0];
    return (
      found() ??
      new Promise((done, fail) => {
        this.child.stdout?.on("data", () => {
          const text = found();
          if (text !== undefined) done(text);
        });
        void this.ended.then(({ code, stderr }) => {
          fail(
            new Error(
              `it ended with ${String(code)} and never said ${String(wanted)}: ${this.stdout}${stderr}`,
            ),
          );
        });
      })
    );
  }

  async kill(signal: NodeJS.Signals): Promise<Ended> {
    this.child.kill(signal);
    return this.ended;
  }
}
