/** What was seen of an entry, and what a difference between two looks is called. Pure. */
import type { BigIntStats } from "node:fs";
import type { FileChange } from "../api";

export interface Seen {
  kind: "file" | "folder" | "other";
  inode: bigint;
  device: bigint;
  size: bigint;
  mode: bigint;
  modifiedNs: bigint;
}

export const seenOf = (stats: BigIntStats): Seen => ({
  kind: stats.isFile() ? "file" : stats.isDirectory() ? "folder" : "other",
  inode: stats.ino,
  device: stats.dev,
  size: stats.size,
  mode: stats.mode,
  modifiedNs: stats.mtimeNs,
});

/** One name, as it was and as it is. */
export interface Difference {
  /** Relative to the watched folder. */
  name: string;
  before: Seen | undefined;
  after: Seen | undefined;
}

type Change = Pick<FileChange, "event" | "name">;

/**
 * A rename is told as inotify's users know it: "rename" of the old name, "create" of the new one. A file that came with
 * content is created and written.
 */
export function changesOf(differences: readonly Difference[]): Change[] {
  const gone = differences.filter(({ before, after }) => before && !(after && sameEntry(before, after)));
  const fresh = differences.filter(({ before, after }) => after && !(before && sameEntry(before, after)));
  const moved = new Map<Difference, Difference>();
  for (const came of fresh) {
    const left = gone.find(
      (one) => !moved.has(one) && one.before && came.after && isMove(one.before, came.after),
    );
    if (left) moved.set(left, came);
  }
  const arrivals = new Set(moved.values());
  // What is in a folder that moved has moved with it.
  const inside = [...arrivals].filter(({ after }) => after?.kind === "folder").map(({ name }) => `${name}/`);
  const news = fresh.filter(({ name }) => !inside.some((folder) => name.startsWith(folder)));
  return [
    // A file that was replaced under its name has not gone.
    ...gone.flatMap((one): Change[] => {
      if (moved.has(one)) return [{ event: "rename", name: one.name }];
      return one.after && one.before?.kind === one.after.kind ? [] : [{ event: "remove", name: one.name }];
    }),
    ...news.flatMap((one) => arrival(one, arrivals.has(one))),
    ...differences.flatMap(alteration),
  ];
}

function arrival({ name, before, after }: Difference, isMoved: boolean): Change[] {
  if (before && before.kind === after?.kind) return [{ event: "write", name }];
  const created: Change = { event: "create", name };
  return !isMoved && after?.kind === "file" && after.size > 0n
    ? [created, { event: "write", name }]
    : [created];
}

function alteration({ name, before, after }: Difference): Change[] {
  if (!before || !after || !sameEntry(before, after)) return [];
  const written =
    after.kind === "file" && (before.size !== after.size || before.modifiedNs !== after.modifiedNs);
  return [
    ...(written ? [{ event: "write", name } as const] : []),
    ...(before.mode === after.mode ? [] : [{ event: "chmod", name } as const]),
  ];
}

export const sameEntry = (a: Seen, b: Seen): boolean =>
  a.inode === b.inode && a.device === b.device && a.kind === b.kind;

/** The number of a file that went may be given to the next one at once, but not its content's time. */
const isMove = (left: Seen, came: Seen): boolean =>
  sameEntry(left, came) &&
  (left.kind === "folder" || (left.size === came.size && left.modifiedNs === came.modifiedNs));
