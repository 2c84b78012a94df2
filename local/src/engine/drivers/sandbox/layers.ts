/**
 * The read-only layers of a state folder: each was the upper layer of a machine, or is a copy of one. Machines and
 * snapshots name them; one that nobody names any more is removed.
 */
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdir, readdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { DriverError } from "../../driver";
import {
  machineFolder,
  machineIds,
  makePrivate,
  removeTree,
  snapshotFolder,
  snapshotIds,
} from "../machine-folder";
import { Turns } from "../turns";
import { layersOf, readDisk, readSnapshot, type Lower } from "./disk-file";
import { asOwner, type SandboxHost } from "./host";

const run = promisify(execFile);
const gone = /^gone-/;

export class Layers {
  private readonly turns = new Turns();
  /** Of an operation under way: not named yet. */
  private readonly pinned = new Set<string>();
  private readonly sizes = new Map<string, number>();

  constructor(private readonly host: SandboxHost) {}

  /** Its folder: `tree` is the layer, the rest is ours. */
  folder(name: string): string {
    return join(this.host.stateDir, "layers", name);
  }

  tree(name: string): string {
    return join(this.folder(name), "tree");
  }

  /** Runs while no layer is removed: what reads a list of layers and names them elsewhere. */
  held<T>(work: () => Promise<T>): Promise<T> {
    return this.turns.take("", work);
  }

  /** Names of new layers; each is kept until the end of `work`, and then when somebody names it. */
  async making<T>(work: (make: () => Promise<string>) => Promise<T>): Promise<T> {
    const mine: string[] = [];
    const make = async (): Promise<string> => {
      const name = randomBytes(5).toString("hex");
      mine.push(name);
      this.pinned.add(name);
      await makePrivate(join(this.host.stateDir, "layers"));
      await mkdir(this.folder(name), { mode: 0o700 });
      return name;
    };
    try {
      return await work(make);
    } finally {
      for (const name of mine) this.pinned.delete(name);
    }
  }

  /** On disk, holes not counted. A layer never changes, so each is measured once. */
  async sizeBytes(names: readonly string[]): Promise<number> {
    let sum = 0;
    for (const name of names) {
      const size = this.sizes.get(name) ?? (await sizeOf(this.tree(name), this.host)) ?? 0;
      this.sizes.set(name, size);
      sum += size;
    }
    return sum;
  }

  /** What machines and snapshots are made of. @throws DriverError disk_damaged. */
  async inUse(): Promise<{ layers: Set<string>; templates: Set<string> }> {
    const { stateDir } = this.host;
    const disks = (await machineIds(stateDir)).map((id) => readDisk(machineFolder(stateDir, id).path));
    const snapshots = (await snapshotIds(stateDir)).map((id) => readSnapshot(snapshotFolder(stateDir, id)));
    const seen = (await Promise.all<Lower | undefined>([...disks, ...snapshots])).filter(
      (one) => one !== undefined,
    );
    return {
      layers: new Set(seen.flatMap(layersOf)),
      templates: new Set([this.host.template, ...seen.map((one) => one.template)]),
    };
  }

  /** Removes the layers that nobody names. Those of a list that cannot be read would be lost: then none is removed. */
  async collect(): Promise<void> {
    const folder = join(this.host.stateDir, "layers");
    const names = await readdir(folder).catch(() => [] as string[]);
    if (names.length === 0) return;
    await this.held(async () => {
      const layers = (await this.inUse().catch(damaged))?.layers;
      if (!layers) return;
      for (const name of names) {
        if (gone.test(name) || layers.has(name) || this.pinned.has(name)) continue;
        this.sizes.delete(name);
        // At once, so that nobody waits for the removal of a large one.
        await rename(this.folder(name), this.folder(`gone-${name}`)).catch(ifThere);
      }
    });
    for (const name of await readdir(folder)) if (gone.test(name)) await removeTree(join(folder, name));
  }
}

/** Bytes that a tree takes on disk; undefined when they could not be counted in time. */
export async function sizeOf(path: string, host: SandboxHost, timeoutMs = 0): Promise<number | undefined> {
  const [program = "", ...args] = [...asOwner(host), "du", "-s", "--block-size=1", path];
  // It answers also when something has gone meanwhile.
  const { stdout } = await run(program, args, { timeout: timeoutMs }).catch(
    (error: unknown) => error as Failed,
  );
  const bytes = /^\d+/.exec(stdout ?? "")?.[0];
  return bytes === undefined ? undefined : Number(bytes);
}

interface Failed {
  stdout?: string;
}

export function damaged(error: unknown): undefined {
  if (!(error instanceof DriverError)) throw error;
  return undefined;
}

function ifThere(error: NodeJS.ErrnoException): void {
  if (error.code !== "ENOENT") throw error;
}
