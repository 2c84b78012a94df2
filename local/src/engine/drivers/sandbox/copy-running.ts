/**
 * Copies the upper layer of a running machine: what there is while it runs, again and again until little is
 * left, and that little while its processes are held.
 *
 * What was copied before goes on to be used: a further layer above it holds what differs by now.
 */
import { link, mkdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { removeTree, writeWhole, type MachineFolder } from "../machine-folder";
import { deltaOf, indexAfter, isEmpty, loadIndex, saveIndex } from "./copied-index";
import type { CopiedIndex, Delta } from "./copied-index";
import type { Disk } from "./disk-file";
import type { SandboxHost } from "./host";
import { Jail } from "./jail";
import type { Layers } from "./layers";
import { inSlices, parentOf, readTree, type Entry } from "./scan";

/** More copied layers than this begin anew: each makes every look-up of the next machine slower. */
const maxCopied = 12;
/** As much is copied while the machine is held; more is copied before. */
const smallBytes = 16 * 2 ** 20;
const smallCount = 500;
/** A machine that writes faster than we copy is held for the rest. */
const maxLoosePasses = 3;

export interface CopyPlace {
  host: SandboxHost;
  layers: Layers;
  make: () => Promise<string>;
  /** Holds the machine's processes; answers what lets go. */
  hold: () => Promise<() => Promise<void>>;
  /** Tells of files that may change through memory from now on. */
  mapped: () => { paths: Set<string>; inodes: Set<string> };
  signal: AbortSignal;
}

/** Answers the layers that hold the upper layer, the topmost first. @throws DriverError snapshot_failed. */
export async function copyRunning(machine: MachineFolder, disk: Disk, place: CopyPlace): Promise<string[]> {
  const { host, layers, signal } = place;
  const scratch = layers.folder(await place.make());
  const { copied = [] } = disk;
  const [jail, index] = await Promise.all([
    Jail.open(host, scratch, join(machine.path, "upper"), signal),
    indexOf(copied, layers),
  ]);
  try {
    return await new Copy(jail, scratch, place).run(copied, index);
  } finally {
    await jail.close();
    await removeTree(scratch);
  }
}

/** Undefined when it is time to begin anew. */
async function indexOf(copied: readonly string[], layers: Layers): Promise<CopiedIndex | undefined> {
  const [top] = copied;
  return top === undefined || copied.length >= maxCopied ? undefined : loadIndex(layers.folder(top));
}

class Copy {
  /** What the index of the top layer does not know yet. */
  private isNew = false;
  private stack: string[] = [];
  private index: CopiedIndex = new Map();

  constructor(
    private readonly jail: Jail,
    private readonly scratch: string,
    private readonly place: CopyPlace,
  ) {}

  async run(copied: readonly string[], known: CopiedIndex | undefined): Promise<string[]> {
    let passes = 0;
    if (known) [this.stack, this.index] = [[...copied], known];
    else for (; passes < 1; passes++) await this.loosePass();
    while (!(await this.heldPass(passes >= maxLoosePasses))) {
      await this.loosePass();
      passes++;
    }
    const [newTop] = this.stack;
    if (newTop !== undefined && this.isNew) await saveIndex(this.place.layers.folder(newTop), this.index);
    return this.stack;
  }

  /** Copies while the machine runs, unless it is little. What changes meanwhile is found by the next pass. */
  private async loosePass(): Promise<void> {
    const atMs = Date.now();
    const isMapped = this.mapped();
    await this.jail.step("scan", "loose");
    const now = await readTree(this.scratch, "scan");
    const delta = await deltaOf(this.index, now);
    if (isSmall(delta)) return;
    const isWhole = await (this.stack.length === 0
      ? this.jail.step("copy", "loose")
      : this.copy(delta, "loose"));
    await this.jail.step("check", "loose");
    const check = await readTree(this.scratch, "check");
    await this.keep();
    this.index = await indexAfter(now, delta, { atMs, isMapped, check, isWhole });
    this.isNew = true;
  }

  /** Answers false, and copies nothing, when it would take long. */
  private async heldPass(isLast: boolean): Promise<boolean> {
    const release = await this.place.hold();
    try {
      const atMs = Date.now();
      const isMapped = this.mapped();
      await this.jail.step("scan");
      const now = await readTree(this.scratch, "scan");
      const delta = await deltaOf(this.index, now);
      if (!isLast && !isSmall(delta)) return false;
      if (!isEmpty(delta)) {
        await this.copy(delta, "strict");
        await this.keep();
      }
      await release();
      if (isEmpty(delta) && !isMapped) return true;
      this.index = await indexAfter(now, delta, { atMs, isMapped });
      this.isNew = true;
      return true;
    } finally {
      await release();
    }
  }

  private async copy(delta: Delta, strictness: "strict" | "loose"): Promise<boolean> {
    const tree = join(this.scratch, "tree");
    if (delta.replaced.length > 0) {
      // A layer of its own between the folders of old and those of now: no folder can hide what is below it by name.
      await this.hide(tree, delta.replaced);
      await this.keep();
    }
    await this.hide(tree, delta.removed);
    await writeList(join(this.scratch, "files"), delta.files);
    await writeList(join(this.scratch, "whole"), delta.whole);
    await writeList(join(this.scratch, "kept"), delta.kept);
    return this.jail.step("delta", strictness);
  }

  /**
   * Begins a layer that hides these. All its whiteouts are one file, as overlayfs itself makes them. The tree is ours: no
   * link leads out of it.
   */
  private async hide(tree: string, paths: readonly string[]): Promise<void> {
    await mkdir(tree);
    if (paths.length === 0) return;
    const whiteout = join(this.scratch, "whiteout");
    await this.jail.step("whiteout");
    const made = new Set<string>();
    for await (const part of inSlices(paths)) {
      for (const path of part) {
        const folder = parentOf(path);
        if (!made.has(folder)) await mkdir(within(tree, folder), { recursive: true });
        made.add(folder);
        await link(whiteout, within(tree, path));
      }
    }
    await removeTree(whiteout);
  }

  /** What was made becomes a layer. */
  private async keep(): Promise<void> {
    const name = await this.place.make();
    await rename(join(this.scratch, "tree"), this.place.layers.tree(name));
    this.stack = [name, ...this.stack];
  }

  /** Undefined when no file is. */
  private mapped(): ((path: string, entry: Entry) => boolean) | undefined {
    const { paths, inodes } = this.place.mapped();
    if (paths.size === 0) return undefined;
    return (path, { own, type }) => type === "f" && (paths.has(path) || inodes.has(own.split(" ")[1] ?? ""));
  }
}

function isSmall({ bytes, files, whole, kept, removed }: Delta): boolean {
  return bytes <= smallBytes && files.length + whole.length + kept.length + removed.length <= smallCount;
}

async function writeList(file: string, paths: readonly string[]): Promise<void> {
  const text = paths.map((path) => (path === "" ? ".\0" : `./${path}\0`)).join("");
  await writeWhole(file, Buffer.from(text, "latin1"));
}

/** A path of ours is UTF-8, one of the machine may be any bytes. */
function within(tree: string, path: string): Buffer {
  return Buffer.concat([Buffer.from(`${tree}/`), Buffer.from(path, "latin1")]);
}
