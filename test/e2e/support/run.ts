/** Runs one command to its end, and keeps what it said. */
import { spawn, type ChildProcess } from "node:child_process";

export interface Outcome {
  code: number | null;
  /** Standard output and error, as a person sees them. */
  text: string;
}

export interface Running {
  child: ChildProcess;
  /** What it said so far. */
  text(): string;
  ended: Promise<Outcome>;
}

/** Starts a command in a process group of its own. */
export function start(
  file: string,
  args: readonly string[],
  options: { cwd: string; env: NodeJS.ProcessEnv },
): Running {
  const child = spawn(file, args, { ...options, stdio: ["ignore", "pipe", "pipe"], detached: true });
  let text = "";
  child.stdout.on("data", (chunk) => (text += String(chunk)));
  child.stderr.on("data", (chunk) => (text += String(chunk)));
  const ended = new Promise<Outcome>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, text }));
  });
  return { child, text: () => text, ended };
}

/** Asks again until there is an answer; for what no event tells. */
export async function eventually<T>(
  what: string,
  ask: () => Promise<T | undefined> | T | undefined,
): Promise<T> {
  const deadline = Date.now() + 60_000;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (Date.now() > deadline) throw new Error(`${what}: not within a minute`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
