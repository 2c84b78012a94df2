/** Where a driver keeps what it needs to find a machine again: one folder a machine, all of it private to the owner. */
import { execFile } from "node:child_process";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { DriverError } from "../driver";
import type { ProcessIdentity } from "./process-table";

const run = promisify(execFile);
/** Ids become folder names and host-visible arguments, so nothing else is let in. */
const safeName = /^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$/;

export interface MachineFolder {
  readonly id: string;
  readonly path: string;
  /** Identity of the machine's first process and what else is needed to take it down. */
  readonly runtime: string;
  readonly execs: string;
}

export function machineFolder(stateDir: string, id: string): MachineFolder {
  const path = join(stateDir, "machines", checked(id));
  return { id, path, runtime: join(path, "runtime.json"), execs: join(path, "exec") };
}

export function execFolder(machine: MachineFolder, executionId: string): string {
  return join(machine.execs, checked(executionId));
}

export function machineIds(stateDir: string): Promise<string[]> {
  return idsIn(join(stateDir, "machines"));
}

export function snapshotFolder(stateDir: string, snapshotId: string): string {
  return join(stateDir, "snapshots", checked(snapshotId));
}

/** Whole snapshots and what is left of unfinished ones. */
export function snapshotIds(stateDir: string): Promise<string[]> {
  return idsIn(join(stateDir, "snapshots"));
}

async function idsIn(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch(() => [] as string[]);
  return names.filter((name) => safeName.test(name));
}

/** The process that `runtime.json` names; undefined when there is none, or when its one write was cut short. */
export async function readRuntime(machine: MachineFolder): Promise<ProcessIdentity | undefined> {
  try {
    const seen = JSON.parse(await readFile(machine.runtime, "utf8")) as Partial<ProcessIdentity>;
    if (typeof seen.pid !== "number" || typeof seen.startTime !== "string") return undefined;
    return { pid: seen.pid, startTime: seen.startTime };
  } catch {
    return undefined; // no such file, or a start that was killed while it wrote it
  }
}

/** Makes `path` hold `text` at once or not at all. */
export async function writeWhole(path: string, text: string | Buffer, mode = 0o600): Promise<void> {
  await writeFile(`${path}.new`, text, { mode });
  await rename(`${path}.new`, path);
}

export async function makePrivate(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
}

/** Removes a tree whatever the modes of its folders are; overlayfs leaves one of mode 000 behind. */
export async function removeTree(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true, maxRetries: 3 });
  } catch {
    // An ordinary user cannot list a folder without rights, even an own one: give them back, then remove.
    await run("chmod", ["-R", "u+rwX", path]).catch(() => undefined);
    await rm(path, { recursive: true, force: true, maxRetries: 3 });
  }
}

function checked(name: string): string {
  if (safeName.test(name)) return name;
  throw new DriverError("bad_id", `"${name}" cannot be the name of a folder: use letters and digits`, false);
}
