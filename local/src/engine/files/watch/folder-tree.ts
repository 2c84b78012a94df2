/**
 * Open folders of a machine, each with the kernel's events and with what was last seen in it. Everything is opened by one
 * name below an open folder and never through a symbolic link, so that nothing outside of the machine can be reached.
 */
import { constants, type FSWatcher, watch } from "node:fs";
import { type FileHandle, lstat, open, readdir } from "node:fs/promises";
import { Refusal } from "../../control-plane";
import type { FileChange } from "../api";
import { draftPrefix } from "../shell-writing";
import { changesOf, type Difference, sameEntry, type Seen, seenOf } from "./seen";

/** Each costs a descriptor and a watch of the kernel. */
const maxFolders = 8192;
/** The kernel drops events when too many wait; with so many since the last look, everything is looked at. */
const manyEvents = 8000;

interface Folder {
  /** Relative to the watched one; "" is that itself. */
  name: string;
  handle: FileHandle;
  watcher: FSWatcher;
  /** By name, byte for byte (latin1). */
  entries: Map<string, Seen>;
  /** Open folders in it, by name. */
  below: Map<string, Folder>;
  /** Names to look at again; "all" for every one. */
  dirty: Set<string> | "all";
}

/** Where the watched folder itself has its name: the kernel says nothing of its end to whoever has it open. */
interface Parent {
  handle: FileHandle;
  watcher: FSWatcher;
  /** Of the watched folder. */
  name: Buffer;
  inode: bigint;
  changed: boolean;
}

export class FolderTree {
  private readonly folders = new Set<Folder>();
  private parent: Parent | undefined;
  private device: bigint | undefined;
  private events = 0;
  private closed = false;
  private busy: Promise<unknown> = Promise.resolve();
  /** Why it cannot go on. */
  failure: Error | undefined;

  /** `wake` is called when there may be something to look at. */
  constructor(
    private readonly recursive: boolean,
    private readonly wake: () => void,
  ) {}

  /** Takes the folder over. `realPath` is where it is, without a symbolic link. @throws Refusal */
  async begin(handle: FileHandle, realPath: Buffer): Promise<void> {
    const { dev, ino } = await handle.stat({ bigint: true });
    this.device = dev;
    const root = await this.enter(handle, "");
    const name = realPath.subarray(realPath.lastIndexOf("/") + 1);
    if (name.length > 0) await this.listenAbove(root, { name, inode: ino });
    const looking = this.look(root, []);
    this.busy = looking.catch(() => undefined);
    await looking;
  }

  get isDirty(): boolean {
    if (this.parent?.changed) return true;
    return [...this.folders].some(({ dirty }) => dirty === "all" || dirty.size > 0);
  }

  /** What has changed since the last call. @throws Refusal when there are too many folders by now. */
  async changes(): Promise<Pick<FileChange, "event" | "name">[]> {
    const looking = this.lookAtAll();
    this.busy = looking.catch(() => undefined);
    return looking;
  }

  private async lookAtAll(): Promise<Pick<FileChange, "event" | "name">[]> {
    if (this.events > manyEvents) for (const folder of this.folders) folder.dirty = "all";
    this.events = 0;
    const differences: Difference[] = [];
    for (const folder of [...this.folders]) {
      if (this.folders.has(folder) && !this.closed) await this.look(folder, differences);
    }
    return changesOf(differences);
  }

  /** True when the watched folder itself was removed, or has another name. */
  async isGone(): Promise<boolean> {
    const { parent } = this;
    if (!parent?.changed) return false;
    parent.changed = false;
    const place = Buffer.concat([placeOf(parent), Buffer.from("/"), parent.name]);
    const found = await lstat(place, { bigint: true }).catch(() => undefined);
    return found?.ino !== parent.inode;
  }

  async close(): Promise<void> {
    this.closed = true;
    // A descriptor's number is given away again as soon as it is closed: nobody may still go by it.
    await this.busy;
    const open = [...this.folders, ...(this.parent ? [this.parent] : [])];
    for (const { watcher } of open) watcher.close();
    await Promise.all(open.map(({ handle }) => handle.close().catch(() => undefined)));
    this.folders.clear();
  }

  private async listenAbove(folder: Folder, { name, inode }: { name: Buffer; inode: bigint }): Promise<void> {
    const handle = await open(placeOf(folder, ".."), constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      const watcher = this.listen(handle, (changed) => {
        if (parent.changed || (changed !== null && !changed.equals(name))) return;
        parent.changed = true;
        this.wake();
      });
      const parent: Parent = { handle, watcher, name, inode, changed: false };
      this.parent = parent;
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** @throws Refusal */
  private listen(handle: FileHandle, listener: (changed: Buffer | null) => void): FSWatcher {
    try {
      const place = `/proc/self/fd/${String(handle.fd)}`;
      const watcher = watch(place, { encoding: "buffer" }, (_, changed) => {
        listener(changed);
      });
      return watcher.on("error", (error) => {
        this.failure ??= watchFailed(error);
        this.wake();
      });
    } catch (error) {
      throw watchFailed(error);
    }
  }

  private async enter(handle: FileHandle, name: string): Promise<Folder> {
    try {
      if (this.folders.size >= maxFolders) {
        const words = `there are more than ${String(maxFolders)} folders; watch a smaller one`;
        throw new Refusal("file_refused", `cannot watch all of it: ${words}`);
      }
      const watcher = this.listen(handle, (changed) => {
        this.noteEvent(folder, changed);
      });
      const folder: Folder = { name, handle, watcher, entries: new Map(), below: new Map(), dirty: "all" };
      this.folders.add(folder);
      return folder;
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  private noteEvent(folder: Folder, changed: Buffer | null): void {
    this.events++;
    // Also where nobody looks for long: the names that a machine makes up must not fill our memory.
    if (changed === null || this.events > manyEvents) folder.dirty = "all";
    else if (folder.dirty !== "all") folder.dirty.add(changed.toString("latin1"));
    this.wake();
  }

  private async look(folder: Folder, differences: Difference[]): Promise<void> {
    const names = await this.namesOf(folder);
    for (const name of names) {
      const before = folder.entries.get(name);
      const after = await this.seen(folder, name);
      if (before === undefined && after === undefined) continue;
      if (after) folder.entries.set(name, after);
      else folder.entries.delete(name);
      // The same under its old name may be another one by now: what is known of it is of the old one.
      if (before && !(after && sameEntry(before, after))) await this.leave(folder, name);
      const shown = pathIn(folder, name);
      differences.push({ name: shown, before, after });
      if (after?.kind === "folder" && this.recursive) await this.descend(folder, name, after, differences);
      if (this.closed) return;
    }
  }

  private async namesOf(folder: Folder): Promise<Set<string>> {
    const { dirty } = folder;
    folder.dirty = new Set();
    if (dirty !== "all") return dirty;
    const present = await readdir(placeOf(folder), { encoding: "buffer" }).catch(() => []);
    return new Set([...present.map((name) => name.toString("latin1")), ...folder.entries.keys()]);
  }

  private async seen(folder: Folder, name: string): Promise<Seen | undefined> {
    // What we write ourselves shows when it is complete.
    if (name.startsWith(draftPrefix)) return undefined;
    return lstat(placeOf(folder, name), { bigint: true }).then(seenOf, () => undefined);
  }

  /** Folders of other file systems are left out: the host's /usr, /proc. */
  private async descend(folder: Folder, name: string, seen: Seen, differences: Difference[]): Promise<void> {
    if (folder.below.has(name) || seen.device !== this.device || this.closed) return;
    const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants;
    const handle = await open(placeOf(folder, name), O_RDONLY | O_DIRECTORY | O_NOFOLLOW).catch(
      () => undefined,
    );
    if (!handle) return; // it has gone again: there is an event for that
    const child = await this.enter(handle, pathIn(folder, name));
    folder.below.set(name, child);
    // What is in a folder that is known already is no news.
    await this.look(child, differences);
  }

  /** Forgets an open folder and all below it; what was in it goes with it and is not told one by one. */
  private async leave(folder: Folder, name: string): Promise<void> {
    const child = folder.below.get(name);
    if (!child) return;
    folder.below.delete(name);
    for (const inner of [...child.below.keys()]) await this.leave(child, inner);
    this.folders.delete(child);
    child.watcher.close();
    await child.handle.close().catch(() => undefined);
  }
}

const placeOf = ({ handle }: { handle: FileHandle }, name?: string): Buffer =>
  Buffer.from(`/proc/self/fd/${String(handle.fd)}${name === undefined ? "" : `/${name}`}`, "latin1");

function pathIn(folder: Folder, name: string): string {
  const shown = Buffer.from(name, "latin1").toString("utf8");
  return folder.name === "" ? shown : `${folder.name}/${shown}`;
}

function watchFailed(error: unknown): Refusal {
  const { code, message } = error as NodeJS.ErrnoException;
  const words =
    code === "ENOSPC"
      ? "the host has no more watches (sysctl fs.inotify.max_user_watches)"
      : code === "EMFILE"
        ? "the control plane has too many files open (ulimit -n)"
        : message;
  return new Refusal("file_failed", `cannot watch: ${words}`, { retryable: true });
}
