/** Folders of plain-process machines and their copies: a copy is made whole or not at all, also while files change. */
import { execFile } from "node:child_process";
import { chmod, lstat, readdir, rename, utimes } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { DriverError } from "../driver";
import { makePrivate, removeTree, snapshotFolder, type MachineFolder } from "./machine-folder";

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
    signal,
  }: {
    stateDir: string;
    snapshotId: string;
    hold: () => Promise<() => Promise<void>>;
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
      const since = Date.now() - clockSlackMs;
      // What goes while we copy is an error of cp, and is seen below.
      await copyTree(rootOf(machine), draft, signal).catch((error: unknown) => {
        signal.throwIfAborted();
        if (!isPartial(error)) throw error;
      });
      const release = await hold();
      try {
        await update(rootOf(machine), draft, since, signal);
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

/** With modes, times, links; blocks are shared where the file system can. */
async function copyTree(from: string, to: string, signal: AbortSignal): Promise<void> {
  await run("cp", ["-a", "--", from, to], { signal });
}

/** `cp` says 1 when it could not copy everything. */
const isPartial = (error: unknown): boolean => (error as { code?: unknown }).code === 1;

/** Makes the copy what the original is now. Nothing writes meanwhile. */
async function update(from: string, to: string, since: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const wanted = await readdir(from, { withFileTypes: true });
  const present = new Set(await readdir(to).catch(() => []));
  const names = new Set(wanted.map(({ name }) => name));
  for (const name of present) if (!names.has(name)) await removeTree(join(to, name));
  const stale: string[] = [];
  for (const entry of wanted) {
    const [theirs, ours] = [join(from, entry.name), join(to, entry.name)];
    const [now, copy] = await Promise.all([lstat(theirs), lstat(ours).catch(() => undefined)]);
    const isSameKind = copy !== undefined && ((copy.mode ^ now.mode) & 0o170000) === 0;
    if (isSameKind && now.isDirectory()) {
      await update(theirs, ours, since, signal);
      continue;
    }
    if (isSameKind && now.ctimeMs < since && now.size === copy.size) continue;
    await removeTree(ours);
    stale.push(theirs);
  }
  for (let at = 0; at < stale.length; at += namesACall) {
    await run("cp", ["-a", "--", ...stale.slice(at, at + namesACall), `${to}/`], { signal });
  }
  await likeOriginal(from, to);
}

/** A folder's own mode and times, after its entries were changed. */
async function likeOriginal(from: string, to: string): Promise<void> {
  const { mode, atime, mtime } = await lstat(from);
  await chmod(to, mode & 0o7777);
  await utimes(to, atime, mtime);
}

async function isThere(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined)) !== undefined;
}
