/** Previews and reports of a test's stack: what each prints, apart from what it says on standard error. */
import { spawn } from "node:child_process";
import { mkdirSync, readdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { repository, type Stack } from "./stack";

export interface Ran {
  code: number | null;
  out: string;
  err: string;
}

export function run(
  file: string,
  args: readonly string[],
  options: { cwd: string; env: NodeJS.ProcessEnv; input?: string },
): Promise<Ran> {
  const { input, ...place } = options;
  const child = spawn(file, args, place);
  let out = "";
  let err = "";
  child.stdout.on("data", (chunk) => (out += String(chunk)));
  child.stderr.on("data", (chunk) => (err += String(chunk)));
  // Who has read enough, or nothing at all, closes the pipe.
  child.stdin.on("error", () => undefined).end(input ?? "");
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, out, err }));
  });
}

/** A real preview, as JSON. */
export const previewOf = ({ project, env }: Stack, ...args: string[]): Promise<Ran> => {
  const [command = "preview", ...rest] = args[0]?.startsWith("-") === false ? args : ["preview", ...args];
  return run("pulumi", [command, "--json", "--non-interactive", "--stack", "dev", ...rest], {
    cwd: project,
    env,
  });
};

const bin = join(repository, "provider", "bin", "pulumi-machines.cjs");

/** `pulumi-machines report` in the stack's folder, with its environment. */
export const reportIn = ({ project, env }: Stack, args: readonly string[], input?: string): Promise<Ran> =>
  run(process.execPath, [bin, "report", ...args], {
    cwd: project,
    env,
    ...(input === undefined ? {} : { input }),
  });

/** A project's node_modules as npm makes them: with the packages' commands, which \`npx\` finds there. */
export function linkWithCommands(project: string): void {
  const from = join(repository, "node_modules");
  const to = join(project, "node_modules");
  mkdirSync(join(to, ".bin"), { recursive: true });
  for (const name of readdirSync(from)) if (name !== ".bin") symlinkSync(join(from, name), join(to, name));
  symlinkSync(bin, join(to, ".bin", "pulumi-machines"));
}
