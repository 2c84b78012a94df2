/** Makes the copy of a folder what the folder is now. Names are bytes that need not be UTF-8. */
import type { Stats } from "node:fs";
import { chmod, chown, link, lstat, readdir, rm, utimes } from "node:fs/promises";

export interface UpdateOptions {
  /** Milliseconds since 1970: what changed before is in the copy already. */
  sinceMs: number;
  /** May be written to through memory without any other trace. */
  isMapped: (inode: number) => boolean;
  /** Copies these, with all that is in them, into a folder where they are not. */
  copy: (from: readonly Buffer[], toFolder: Buffer) => Promise<void>;
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
}

class Update {
  /** All names of the files that have several. */
  private readonly shared = new Map<number, Names[]>();

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
        await likeOriginal(folderOf(theirs), folderOf(ours));
      }
    }
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

/** A folder's own mode and times, after its entries were changed. */
async function likeOriginal(from: Buffer, to: Buffer): Promise<void> {
  const [now, copy] = await Promise.all([lstat(from), lstat(to)]);
  if (now.uid !== copy.uid || now.gid !== copy.gid) await chown(to, now.uid, now.gid);
  await chmod(to, now.mode & 0o7777);
  await utimes(to, now.atime, now.mtime);
}

const removeAll = (path: Buffer): Promise<void> => rm(path, { recursive: true, force: true, maxRetries: 3 });

const below = (folder: Buffer, name: Buffer): Buffer => Buffer.concat([folder, Buffer.from("/"), name]);

const folderOf = (path: Buffer): Buffer => path.subarray(0, path.lastIndexOf("/"));
