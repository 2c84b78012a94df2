/** A machine's own disk: the upper layer of its overlay, and the folders that mounting it needs. */
import { chmod, chown, lstat, mkdir, readdir, readFile, rename, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DriverError, type MachineSpec } from "../../driver";
import { makePrivate, removeTree, snapshotFolder, type MachineFolder } from "../machine-folder";
import { readDisk, readSnapshot, writeDisk, type Disk, type Lower } from "./disk-file";
import type { SandboxHost } from "./host";
import type { Layers } from "./layers";

/** What we write into a disk is shorter; a file that is longer is not ours. */
const maxSettingBytes = 4096;

const upperOf = (machine: MachineFolder): string => join(machine.path, "upper");

/**
 * Makes the disk when there is none. The upper layer of one that exists is never looked into: the machine may have put
 * links there that lead to the host's files.
 * @throws DriverError no_snapshot, disk_damaged.
 */
export async function prepareDisk(
  machine: MachineFolder,
  spec: MachineSpec,
  host: SandboxHost,
  layers: Layers,
): Promise<Disk> {
  for (const name of ["", "work", "root", "exec"]) await makePrivate(join(machine.path, name));
  const settled = await settleDisk(machine, host, layers);
  const disk = settled ?? (await layers.held(() => beginDisk(machine, spec, host)));
  if (!(await isThere(upperOf(machine)))) {
    const changed = await settingsFor(spec.hostname, disk, layers);
    await makeUpper(machine, disk, { host, layers, changed });
  }
  if (disk.hostname === spec.hostname) return disk;
  const named = { ...disk, hostname: spec.hostname };
  await writeDisk(machine, named);
  return named;
}

/** Names the layers before anything else is made, so that they stay. */
async function beginDisk(machine: MachineFolder, spec: MachineSpec, host: SandboxHost): Promise<Disk> {
  const found = await lowerFor(machine, spec, host);
  await writeDisk(machine, found);
  return found;
}

async function lowerFor(machine: MachineFolder, spec: MachineSpec, host: SandboxHost): Promise<Disk> {
  const empty = { layers: [], template: host.template, hostname: "" };
  if (spec.fromSnapshotId === undefined || (await isThere(upperOf(machine)))) return empty;
  const found = await readSnapshot(snapshotFolder(host.stateDir, spec.fromSnapshotId));
  if (found) return { layers: found.layers, template: found.template, hostname: found.hostname };
  const words = `the snapshot ${spec.fromSnapshotId} is not there: make the machine from another one`;
  throw new DriverError("no_snapshot", words, false);
}

/** Finishes what a kill has cut short; undefined when there is no disk yet. */
export async function settleDisk(
  machine: MachineFolder,
  host: SandboxHost,
  layers: Layers,
): Promise<Disk | undefined> {
  const disk = await readDisk(machine.path);
  if (disk?.rotating === undefined) return disk;
  const { rotating, ...rest } = disk;
  if (!(await isThere(layers.tree(rotating)))) {
    await writeDisk(machine, rest);
    return rest;
  }
  return endRotation(machine, { disk: rest, name: rotating, host, layers });
}

/**
 * Makes the upper layer of a machine that does not run its topmost lower one, in constant time, and goes on with an empty
 * one; an upper layer in which nothing was written stays what it is.
 * @throws DriverError no_disk.
 */
export async function rotate(
  machine: MachineFolder,
  host: SandboxHost,
  layers: Layers,
  make: () => Promise<string>,
): Promise<Disk> {
  const disk = await settleDisk(machine, host, layers);
  if (!disk || !(await isThere(upperOf(machine)))) throw noDisk(machine);
  if (await isUntouched(upperOf(machine), disk, layers)) return disk;
  const name = await make();
  await writeDisk(machine, { ...disk, rotating: name });
  await rename(upperOf(machine), layers.tree(name));
  return endRotation(machine, { disk, name, host, layers });
}

export function noDisk(machine: MachineFolder): DriverError {
  const words = `machine ${machine.id} has no disk yet: start it once, then take the snapshot`;
  return new DriverError("no_disk", words, false);
}

interface Rotation {
  disk: Disk;
  name: string;
  host: SandboxHost;
  layers: Layers;
}

async function endRotation(machine: MachineFolder, { disk, name, host, layers }: Rotation): Promise<Disk> {
  // What was copied of the old upper layer says nothing of the new one.
  const { layers: below, template, hostname } = disk;
  const next = { layers: [name, ...below], template, hostname };
  await makeUpper(machine, next, { host, layers, changed: {} });
  await writeDisk(machine, next);
  return next;
}

/** An empty upper layer, but for these settings; its root looks as the root below it does. */
async function makeUpper(
  machine: MachineFolder,
  below: Lower,
  { host, layers, changed }: { host: SandboxHost; layers: Layers; changed: Record<string, string> },
): Promise<void> {
  if (await isThere(upperOf(machine))) return;
  const draft = join(machine.path, "upper.new");
  await removeTree(draft);
  await mkdir(draft);
  // Seen inside as / and /etc, so they have those modes; the machine's own folder keeps everybody else out.
  if (Object.keys(changed).length > 0) {
    const etc = join(draft, "etc");
    await mkdir(etc);
    for (const [name, text] of Object.entries(changed)) {
      await writeFile(join(etc, name), text);
      await chmod(join(etc, name), 0o644);
      if (host.mode === "root") await chown(join(etc, name), host.uidBase, host.uidBase);
    }
    await likeBelow(etc, await topmost("etc", below, layers), host);
  }
  const [top] = below.layers;
  await likeBelow(draft, top === undefined ? undefined : layers.tree(top), host);
  await rename(draft, upperOf(machine));
}

async function likeBelow(path: string, below: string | undefined, host: SandboxHost): Promise<void> {
  const seen = below === undefined ? undefined : await lstat(below);
  await chmod(path, seen ? seen.mode & 0o7777 : 0o755);
  const [uid, gid] = seen ? [seen.uid, seen.gid] : [host.uidBase, host.uidBase];
  if (host.mode === "root") await chown(path, uid, gid);
  if (seen) await utimes(path, seen.atime, seen.mtime);
}

/** Nothing in it, and a root like the one below. */
async function isUntouched(upper: string, { layers: below }: Disk, layers: Layers): Promise<boolean> {
  const [top] = below;
  if (top === undefined || (await readdir(upper)).length > 0) return false;
  const [now, before] = await Promise.all([lstat(upper), lstat(layers.tree(top))]);
  return now.mode === before.mode && now.uid === before.uid && now.gid === before.gid;
}

/** Files of /etc that name the host: new ones for a new disk, and those that nobody has edited in a copied one. */
async function settingsFor(hostname: string, disk: Disk, layers: Layers): Promise<Record<string, string>> {
  const before = settings(disk.hostname);
  const wanted = Object.entries(settings(hostname));
  if (disk.layers.length === 0) return Object.fromEntries(wanted);
  if (disk.hostname === hostname) return {};
  const etc = await topmost("etc", disk, layers);
  if (!etc || !(await lstat(etc)).isDirectory()) return {};
  const unedited = await Promise.all(
    wanted.map(async ([name]) => {
      const path = await topmost(join("etc", name), disk, layers);
      return path !== undefined && (await readSetting(path)) === before[name];
    }),
  );
  return Object.fromEntries(wanted.filter((_, index) => unedited[index]));
}

function settings(hostname: string): Record<string, string> {
  return {
    hostname: `${hostname}\n`,
    hosts: `127.0.0.1 localhost\n::1 localhost ip6-localhost\n127.0.1.1 ${hostname}\n`,
  };
}

/** Layers do not change, so a file that is none is none when it is read. */
async function readSetting(path: string): Promise<string | undefined> {
  const seen = await lstat(path);
  return seen.isFile() && seen.size <= maxSettingBytes ? readFile(path, "utf8") : undefined;
}

/** The topmost layer's file of this name; undefined where a layer has something else than a folder above it. */
async function topmost(path: string, { layers: below }: Lower, layers: Layers): Promise<string | undefined> {
  const folder = path.split("/").slice(0, -1).join("/");
  for (const name of below) {
    const tree = layers.tree(name);
    const above = folder === "" ? undefined : await lstat(join(tree, folder)).catch(() => undefined);
    if (above && !above.isDirectory()) return undefined;
    if (await isThere(join(tree, path))) return join(tree, path);
  }
  return undefined;
}

async function isThere(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined)) !== undefined;
}
