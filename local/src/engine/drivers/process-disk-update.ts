/** Makes the copy of a folder what the folder is now. Names are bytes that need not be UTF-8. */
import type { Stats } from "node:fs";
import { chmod, chown, link, lstat, readdir, rm } from "node:fs/promises";

export interface UpdateOptions {
  /** Milliseconds since 1970: what changed before is in the copy already. */
  sinceMs: number;
  /** May be written to through memory without any other trace. */
  isMapped: (inode: number) => boolean;
  /** Copies these, with all that is in them, into a folder where they are not. */
  copy: (from: readonly Buffer[], toFolder: Buffer) => Promise<void>;
  /** Gives the second of each two the times of the first, to the nanosecond. */
  copyTimes: (pairs: readonly (readonly [Buffer, Buffer])[]) => Promise<void>;
}

interface Names {
  theirs: Buffer;
  ours: Buffer;
}

/** Nothing writes meanwhile. */
export async function updateCopy(from: string, to: string, options: UpdateOptions): Promise<void> {
  const update = new Update(options);
  await update.folder(Buffer.from(from), Buffer.from(to));
  await update.relink();
  await update.folderTimes();
}

class Update {
  /** All names of the files that have several. */
  private readonly shared = new Map<number, Names[]>();
  private readonly folders: Names[] = [];

  constructor(private readonly options: UpdateOptions) {}

  async folder(from: Buffer, to: Buffer): Promise<void> {
    const wanted = await readdir(from, "buffer");
    const names = new Set(wanted.map((name) => name.toString("latin1")));
    for (const name of await readdir(to, "buffer")) {
      if (!names.has(name.toString("latin1"))) await removeAll(below(to, name));
    }
    const stale: Names[] = [];
    for (const name of wanted) {
      const one = { theirs: below(from, name), ours: below(to, name) };
      const now = await lstat(one.theirs);
      const copy = await lstat(one.ours).catch(() => undefined);
      if (copy?.isDirectory() && now.isDirectory()) {
        await this.folder(one.theirs, one.ours);
        continue;
      }
      this.note(one, now);
      if (copy && this.isSame(now, copy)) continue;
      await removeAll(one.ours);
      stale.push(one);
    }
    if (stale.length > 0) {
      await this.options.copy(
        stale.map(({ theirs }) => theirs),
        to,
      );
    }
    for (const one of stale) await this.noteAll(one);
    await likeOriginal(from, to);
    this.folders.push({ theirs: from, ours: to });
  }

  /** Names of one file in several folders may have been copied apart. */
  async relink(): Promise<void> {
    for (const [first, ...others] of this.shared.values()) {
      if (!first) continue;
      const { ino } = await lstat(first.ours);
      for (const { theirs, ours } of others) {
        if ((await lstat(ours)).ino === ino) continue;
        await rm(ours);
        await link(first.ours, ours);
        this.folders.push({ theirs: folderOf(theirs), ours: folderOf(ours) });
      }
    }
  }

  /** At the end: they change with what is in them. */
  async folderTimes(): Promise<void> {
    const changed: [Buffer, Buffer][] = [];
    for (const { theirs, ours } of this.folders) {
      const [now, copy] = await Promise.all([theirs, ours].map((path) => lstat(path, { bigint: true })));
      if (now?.mtimeNs !== copy?.mtimeNs) changed.push([theirs, ours]);
    }
    if (changed.length > 0) await this.options.copyTimes(changed);
  }

  private isSame(now: Stats, copy: Stats): boolean {
    if (now.ctimeMs >= this.options.sinceMs || this.options.isMapped(now.ino)) return false;
    // The folder may be another one than the one that was copied under its name.
    return now.mode === copy.mode && now.size === copy.size && now.mtimeMs === copy.mtimeMs;
  }

  private note(one: Names, { ino, nlink }: Stats): void {
    if (nlink > 1) this.shared.set(ino, [...(this.shared.get(ino) ?? []), one]);
  }

  /** Of a folder that was copied as a whole. */
  private async noteAll({ theirs, ours }: Names): Promise<void> {
    if (!(await lstat(theirs)).isDirectory()) return;
    for (const name of await readdir(theirs, "buffer")) {
      const one = { theirs: below(theirs, name), ours: below(ours, name) };
      const now = await lstat(one.theirs);
      if (now.isDirectory()) await this.noteAll(one);
      else this.note(one, now);
    }
  }
}

/** A folder's own owner and mode. */
async function likeOriginal(from: Buffer, to: Buffer): Promise<void> {
  const [now, copy] = await Promise.all([lstat(from), lstat(to)]);
  if (now.uid !== copy.uid || now.gid !== copy.gid) await chown(to, now.uid, now.gid);
  if (now.mode !== copy.mode) await chmod(to, now.mode & 0o7777);
}

const removeAll = (path: Buffer): Promise<void> => rm(path, { recursive: true, force: true, maxRetries: 3 });

const below = (folder: Buffer, name: Buffer): Buffer => Buffer.concat([folder, Buffer.from("/"), name]);

/** Of a path with a folder. */
const folderOf = (path: Buffer): Buffer => path.subarray(0, path.lastIndexOf("/"));
