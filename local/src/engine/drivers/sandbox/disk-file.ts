/** What a machine's disk, and a snapshot of one, is made of: names of layers, in one small file of each. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { DriverError } from "../../driver";
import { writeWhole, type MachineFolder } from "../machine-folder";

/** What lies below a machine's own upper layer. None of it ever changes. */
export interface Lower {
  /** The topmost first. */
  layers: string[];
  /** Below them; empty when the lowest layer holds a whole tree. */
  template: string;
  /** The host name that was written into it. */
  hostname: string;
}

export interface Disk extends Lower {
  /** The upper layer is about to become this layer. */
  rotating?: string;
  /** What the upper layer held at the last snapshot of the running machine, the topmost first. */
  copied?: string[];
  /** All of `layers` and the template in one, for snapshots, where they are many. */
  flat?: string;
}

export interface SnapshotFile extends Lower {
  sizeBytes: number;
}

/** Undefined when there is none. @throws DriverError disk_damaged. */
export function readDisk(machinePath: string): Promise<Disk | undefined> {
  return readWhole<Disk>(join(machinePath, "disk.json"));
}

export function writeDisk(machine: MachineFolder, disk: Disk): Promise<void> {
  return writeWhole(join(machine.path, "disk.json"), JSON.stringify(disk));
}

export function readSnapshot(folder: string): Promise<SnapshotFile | undefined> {
  return readWhole<SnapshotFile>(join(folder, "snapshot.json"));
}

export function writeSnapshot(folder: string, snapshot: SnapshotFile): Promise<void> {
  return writeWhole(join(folder, "snapshot.json"), JSON.stringify(snapshot));
}

/** Every layer that a disk names, whatever for. */
export function layersOf(disk: Partial<Disk>): string[] {
  const { layers = [], copied = [], flat, rotating } = disk;
  return [...layers, ...copied, ...[flat, rotating].filter((name) => name !== undefined)];
}

/** The folders of a lower tree, relative to the state folder, the topmost first. */
export function foldersOf({ layers, template }: Lower): string[] {
  return [...layers.map((name) => `layers/${name}/tree`), ...(template === "" ? [] : [template])];
}

async function readWhole<T extends Lower>(path: string): Promise<T | undefined> {
  try {
    const seen = JSON.parse(await readFile(path, "utf8")) as T;
    if (Array.isArray(seen.layers) && typeof seen.template === "string") return seen;
    throw new Error("it names no layers");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    const words = error instanceof Error ? error.message : String(error);
    throw new DriverError("disk_damaged", `cannot read ${path}: ${words}`, false, { cause: error });
  }
}
