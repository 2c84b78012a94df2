/** The files of one command: what it reads, what it wrote, how it ended. */
import { execFile } from "node:child_process";
import { chown, mkdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { DriverError, type ExecExit, type ExecSpec } from "../driver";
import { exportText } from "./exec-scripts";
import type { ProcessIdentity } from "./process-table";

const run = promisify(execFile);
const shellName = /^[A-Za-z_][A-Za-z0-9_]*$/;
/** A hole begins and ends at a page of the file system. */
const pageBytes = 4096;

export interface Spool {
  readonly folder: string;
  readonly stdoutPath: string;
  readonly stderrPath: string;
}

export function spoolAt(folder: string): Spool {
  return { folder, stdoutPath: join(folder, "stdout"), stderrPath: join(folder, "stderr") };
}

/**
 * Makes the files of a command. `owner` is who may open them again from inside, so that `/dev/stdout` works there.
 * @throws DriverError bad_command: an empty command, a NUL in it, or a variable whose name no shell can export.
 */
export async function createSpool(folder: string, spec: ExecSpec, owner?: number): Promise<Spool> {
  checkCommand(spec);
  const spool = spoolAt(folder);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const texts = new Map(["stdout", "stderr", "start-error"].map((name) => [name, ""]));
  if (Object.keys(spec.env).length > 0) texts.set("env", exportText(spec.env));
  if (spec.stdin !== undefined) texts.set("stdin", spec.stdin);
  const write = async (name: string, text: string): Promise<void> => {
    await writeFile(join(folder, name), text, { mode: 0o600 });
    if (owner !== undefined) await chown(join(folder, name), owner, owner);
  };
  const pipes = [...(hasOpenStdin(spec) ? ["stdin", "close"] : []), ...(spec.terminal ? ["size"] : [])];
  await Promise.all([
    makePipes(pipes.map((name) => join(folder, name))),
    ...[...texts].map(([name, text]) => write(name, text)),
  ]);
  if (owner !== undefined && hasOpenStdin(spec)) await chown(join(folder, "stdin"), owner, owner);
  return spool;
}

export const hasOpenStdin = (spec: ExecSpec): boolean =>
  spec.openStdin === true || spec.terminal !== undefined;

async function makePipes(paths: string[]): Promise<void> {
  if (paths.length === 0) return;
  const make = () => run("mkfifo", ["-m", "600", ...paths]);
  await make().catch(async () => {
    // Those of a start that was cut short may be there.
    for (const path of paths) await rm(path, { force: true });
    await make();
  });
}

function checkCommand(spec: ExecSpec): void {
  const refuse = (words: string): never => {
    throw new DriverError("bad_command", words, false);
  };
  if (!spec.command[0]) refuse("the command is empty: give at least a program's name");
  if ([...spec.command, spec.cwd ?? "", ...Object.values(spec.env)].some((text) => text.includes("\0"))) {
    refuse("a NUL character cannot be passed to a program: remove it from the command, cwd or env");
  }
  const wrong = Object.keys(spec.env).find((name) => !shellName.test(name));
  if (wrong !== undefined) {
    refuse(`env name ${JSON.stringify(wrong)}: use letters, digits and _, not beginning with a digit`);
  }
}

/** Undefined until the command has ended. */
export async function readExit(folder: string): Promise<ExecExit | undefined> {
  const text = await readFile(join(folder, "exit"), "utf8").catch(() => "");
  if (!text.endsWith("\n")) return undefined; // not there, or being written
  const exitCode = Number(text);
  const startError = await readStartError(folder);
  // A shell cannot tell `exit 137` from a kill: both read as signal 9, as they do at a prompt.
  const signal = startError === undefined && exitCode > 128 && exitCode <= 128 + 64 ? exitCode - 128 : null;
  return { exitCode, signal, ...(startError === undefined ? {} : { startError }) };
}

/** True when the command itself has begun to run. */
export async function hasBegun(folder: string): Promise<boolean> {
  const file = await stat(join(folder, "begun")).catch(() => undefined);
  return file !== undefined && file.size > 0;
}

/** Bounded: the system's words are a few lines. */
async function readStartError(folder: string): Promise<string | undefined> {
  if (await hasBegun(folder)) return undefined;
  const text = await readFile(join(folder, "start-error"), "utf8").catch(() => "");
  // The shell's own name and line number say nothing to a user.
  const words = text.replace(/^\S*sh: (line )?\d+: /gm, "").trim();
  return words === "" ? undefined : words.slice(0, 4096);
}

/** The process that runs outside and waits for the command; undefined when it has not written its name yet. */
export async function readWrapper(folder: string): Promise<ProcessIdentity | undefined> {
  const text = await readFile(join(folder, "pid"), "utf8").catch(() => "");
  const found = /^(\d+) (.+)\n$/.exec(text);
  return found?.[2] === undefined ? undefined : { pid: Number(found[1]), startTime: found[2] };
}

/**
 * Gives back the disk space of an output file before an offset; offsets do not move, since what is dropped becomes a hole
 * that reads as zeros. False where the file system or the host (no `fallocate`) cannot do it: the file stays whole.
 */
export async function punchSpool(path: string, before: number): Promise<boolean> {
  const length = Math.floor(before / pageBytes) * pageBytes;
  if (length <= 0) return true;
  try {
    await run("fallocate", ["--punch-hole", "--offset", "0", "--length", String(length), path]);
    return true;
  } catch {
    return false; // more disk is used, nothing is lost
  }
}
