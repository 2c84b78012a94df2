/** Folders of plain-process machines and their copies: a copy is made whole or not at all, also while files change. */
import { execFile } from "node:child_process";
import { lstat, rename } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { promisify } from "node:util";
import { DriverError } from "../driver";
import { makePrivate, removeTree, snapshotFolder, type MachineFolder } from "./machine-folder";
import { startPiped } from "./piped-program";
import { updateCopy } from "./process-disk-update";

const run = promisify(execFile);
/** A clock of a file system may be behind the one that we read. */
const clockSlackMs = 50;
const namesACall = 500;

export const rootOf = (machine: MachineFolder): string => join(machine.path, "root");

/** The folder of a snapshot whose copy is complete. */
const treeOf = (stateDir: string, snapshotId: string): string =>
  join(snapshotFolder(stateDir, snapshotId), "root");

/** Makes the machine's folder when there is none. @throws DriverError no_snapshot. */
export async function prepareRoot(
  machine: MachineFolder,
  stateDir: string,
  fromSnapshotId: string | undefined,
  signal: AbortSignal,
): Promise<void> {
  if (fromSnapshotId === undefined || (await isThere(rootOf(machine)))) return makePrivate(rootOf(machine));
  const from = treeOf(stateDir, fromSnapshotId);
  if (!(await isThere(from))) {
    const words = `the snapshot ${fromSnapshotId} is not there: make the machine from another one`;
    throw new DriverError("no_snapshot", words, false);
  }
  const draft = join(machine.path, "root.new");
  await removeTree(draft); // of a start that was cut short
  await copyTree(from, draft, signal);
  await rename(draft, rootOf(machine));
}

/**
 * Copies the machine's folder. `hold` keeps everything from writing, and answers what lets go: only while what has changed
 * meanwhile is copied again. @throws DriverError no_disk, snapshot_failed.
 */
export async function keepRoot(
  machine: MachineFolder,
  {
    stateDir,
    snapshotId,
    hold,
    mapped,
    signal,
  }: {
    stateDir: string;
    snapshotId: string;
    hold: () => Promise<() => Promise<void>>;
    /** Tells of files that may change through memory. */
    mapped: () => (inode: number) => boolean;
    signal: AbortSignal;
  },
): Promise<{ sizeBytes: number }> {
  const folder = snapshotFolder(stateDir, snapshotId);
  const tree = treeOf(stateDir, snapshotId);
  if (!(await isThere(tree))) {
    if (!(await isThere(rootOf(machine)))) {
      const words = `machine ${machine.id} has no disk yet: start it once, then take the snapshot`;
      throw new DriverError("no_disk", words, false);
    }
    try {
      await makePrivate(folder);
      const draft = join(folder, "root.new");
      await removeTree(draft); // of one that was cut short
      const sinceMs = Date.now() - clockSlackMs;
      // What goes while we copy is an error of cp, and is seen below.
      await copyTree(rootOf(machine), draft, signal).catch((error: unknown) => {
        signal.throwIfAborted();
        if (!(error instanceof CopyFailed)) throw error;
      });
      const release = await hold();
      try {
        const isMapped = mapped();
        const copy = (from: readonly Buffer[], to: Buffer): Promise<void> => copyAll(from, to, signal);
        const copyTimes = (pairs: readonly (readonly [Buffer, Buffer])[]): Promise<void> =>
          runTool(["xargs", "-0", "-n", "2", "touch", "-r"], folder, signal, zeroEnded(pairs.flat()));
        await updateCopy(rootOf(machine), draft, { sinceMs, isMapped, copy, copyTimes });
      } finally {
        await release();
      }
      await rename(draft, tree);
    } catch (error) {
      await removeTree(folder);
      if (error instanceof DriverError || signal.aborted) throw error;
      const words = error instanceof Error ? error.message : String(error);
      throw new DriverError("snapshot_failed", words, true, { cause: error });
    }
  }
  return { sizeBytes: (await sizeOf(tree)) ?? 0 };
}

/** Bytes that a tree takes on disk; undefined when they could not be counted in time. */
export async function sizeOf(path: string, timeoutMs = 0): Promise<number | undefined> {
  // It answers also when something has gone meanwhile.
  const { stdout } = await run("du", ["-sk", path], { timeout: timeoutMs }).catch(
    (error: unknown) => error as { stdout?: string },
  );
  const kib = /^\d+/.exec(stdout ?? "")?.[0];
  return kib === undefined ? undefined : Number(kib) * 1024;
}

/** With modes, times, links; blocks are shared where the file system can. Ends with the control plane. */
async function copyTree(from: string, to: string, signal: AbortSignal): Promise<void> {
  await runTool(["cp", ...(await cpOptions()), "--", from, to], to, signal);
}

/** The same of several, which may have any names: arguments of ours are UTF-8, what xargs reads need not be. */
async function copyAll(from: readonly Buffer[], toFolder: Buffer, signal: AbortSignal): Promise<void> {
  const options = await cpOptions();
  const target = toFolder.toString();
  const isText = (bytes: Buffer): boolean => Buffer.from(bytes.toString()).equals(bytes);
  const plain = isText(toFolder) ? from.filter(isText) : [];
  for (let at = 0; at < plain.length; at += namesACall) {
    const names = plain.slice(at, at + namesACall).map(String);
    await runTool(["cp", ...options, "--", ...names, `${target}/`], target, signal);
  }
  const odd = plain.length === from.length ? [] : from.filter((one) => !plain.includes(one));
  if (odd.length === 0) return;
  const pairs = odd.flatMap((one) => [one, toFolder]);
  await runTool(["xargs", "-0", "-n", "2", "cp", ...options, "--"], target, signal, zeroEnded(pairs));
}

async function runTool(
  argv: readonly string[],
  folder: string,
  signal: AbortSignal,
  stdin: Buffer | string = "",
): Promise<void> {
  signal.throwIfAborted();
  const env = { PATH: process.env["PATH"] ?? "/usr/bin:/bin", LC_ALL: "C" };
  const program = await startPiped(argv, { folder, prefix: [], cgroups: [], env });
  const kill = (): void => program.kill();
  signal.addEventListener("abort", kill, { once: true });
  if (signal.aborted) kill();
  try {
    program.stdout.resume();
    program.stdin.end(stdin);
    const [code, said] = await Promise.all([program.exited, text(program.stderr)]);
    signal.throwIfAborted();
    if (code !== 0)
      throw new CopyFailed(said.trim().slice(0, 1024) || `${argv[0] ?? ""} ended with ${String(code)}`);
  } finally {
    signal.removeEventListener("abort", kill);
  }
}

const zeroEnded = (words: readonly Buffer[]): Buffer =>
  Buffer.concat(words.flatMap((word) => [word, Buffer.from("\0")]));

class CopyFailed extends Error {}

let known: Promise<string[]> | undefined;
/** Sharing of blocks is asked for where `cp` knows of it. */
function cpOptions(): Promise<string[]> {
  known ??= run("/bin/sh", ["-c", "cp --help 2>&1 || :"]).then(({ stdout }) =>
    stdout.includes("--reflink") ? ["-a", "--reflink=auto"] : ["-a"],
  );
  return known;
}

async function isThere(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined)) !== undefined;
}
