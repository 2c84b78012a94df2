/** What a stack of copied layers holds of a machine's upper layer, and what differs by now. Pure but for one file. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { writeWhole } from "../machine-folder";
import { entryOf, inSlices, parentOf, type Entry, type Tree } from "./scan";

export interface CopiedEntry extends Entry {
  /** The copy may differ although nothing else tells so. */
  isStale: boolean;
}

export type CopiedIndex = Map<string, CopiedEntry>;

/** What a further layer must hold. Paths are relative; "" is the root. */
export interface Delta {
  /** To be copied each by itself. */
  files: string[];
  /** Folders that nothing below is to be seen of, and files that share their content with another name. */
  whole: string[];
  /** Folders that go on below. */
  kept: string[];
  /** To be hidden. */
  removed: string[];
  /** Folders of `whole` of which all that is below is to be hidden. */
  replaced: string[];
  bytes: number;
}

export function isEmpty({ files, whole, kept, removed }: Delta): boolean {
  return files.length + whole.length + kept.length + removed.length === 0;
}

export async function deltaOf(index: CopiedIndex, now: Tree): Promise<Delta> {
  const delta: Delta = { files: [], whole: [], kept: [], removed: [], replaced: [], bytes: 0 };
  const replaced = new Set<string>();
  const whole = new Set<string>();
  const kept = new Set<string>();
  for await (const part of inSlices(now)) {
    for (const [path, entry] of part) {
      const old = index.get(path);
      // All of a folder that is not the one below goes along: it may hide what is below.
      const isInside = whole.has(parentOf(path)) && path !== "";
      if (entry.type === "d") {
        if (isInside || !isSameFolder(old, entry)) whole.add(path);
        else if (hasChanged(path, old, entry)) kept.add(path);
      } else if (isInside || !old || old.isStale || old.own !== entry.own || old.look !== entry.look) {
        delta.bytes += entry.bytes;
        (entry.links > 1 ? delta.whole : delta.files).push(path);
      }
    }
  }
  for await (const part of inSlices(index.keys())) {
    for (const path of part) {
      if (now.has(path) || now.get(parentOf(path))?.type !== "d") continue;
      if (path.includes("/") && whole.has(parentOf(path))) replaced.add(topmostOf(parentOf(path), whole));
      else delta.removed.push(path);
    }
  }
  for (const path of [...delta.files, ...delta.whole, ...delta.removed, ...whole, ...kept]) {
    for (let at = path; at !== "";) {
      at = parentOf(at);
      if (kept.has(at)) break;
      if (!whole.has(at)) kept.add(at);
    }
  }
  delta.replaced.push(...replaced);
  // After the files, which would change their times.
  delta.whole.push(...whole);
  delta.kept.push(...kept);
  return delta;
}

/** Hidden one by one, files would still be listed in a folder that overlayfs itself has made opaque. */
function topmostOf(folder: string, whole: ReadonlySet<string>): string {
  let at = folder;
  while (at.includes("/") && whole.has(parentOf(at))) at = parentOf(at);
  return at;
}

/** What the stack holds with one more layer, which was made from `now` as it was at `atMs`. */
export async function indexAfter(
  now: Tree,
  delta: Delta,
  made: {
    atMs: number;
    /** May be written to through memory without any other trace. */
    isMapped: ((path: string, entry: Entry) => boolean) | undefined;
    /** The new layer, where files came and went while it was made. */
    check?: Tree;
    /** False: some of it is missing, of its attributes too. */
    isWhole?: boolean;
  },
): Promise<CopiedIndex> {
  const copied = new Set([...delta.files, ...delta.whole, ...delta.kept]);
  const hidden = new Set(delta.removed);
  // There, but not what they should be: they are copied again with all that is in them, or hidden when they have gone.
  const unsure = new Set(made.isWhole === false ? delta.whole : []);
  const index: CopiedIndex = new Map();
  for await (const part of inSlices(now)) {
    for (const [path, entry] of part) {
      const seen = made.check?.get(path);
      const isMissing = made.check !== undefined && !seen;
      if (entry.type === "d" && copied.has(path) && isMissing) continue;
      if (entry.type === "d" && unsure.has(path)) {
        index.set(path, { ...entryOf("", entry.look, ""), isStale: true });
        continue;
      }
      const isUnsure =
        copied.has(path) &&
        (entry.changedAtMs >= made.atMs - tickMs || (made.check !== undefined && seen?.look !== entry.look));
      index.set(path, { ...entry, isStale: isUnsure || made.isMapped?.(path, entry) === true });
    }
  }
  for await (const part of inSlices(made.check ?? [])) {
    for (const [path, entry] of part) {
      if (!now.has(path) && !hidden.has(path)) index.set(path, { ...entry, isStale: true });
    }
  }
  return index;
}

/** Far longer than the clock of file systems stands still: a second change within it may leave no trace. */
const tickMs = 20;

/** The same folder, as opposed to a new one at its place; one that is not known to be is taken for new. */
function isSameFolder(old: CopiedEntry | undefined, now: Entry): boolean {
  if (old?.type !== "d" || inodeOf(old) !== inodeOf(now)) return false;
  return now.birth === "" ? old.own === now.own : old.birth === now.birth;
}

/** The root's own time changes with every start; what it looks like counts. */
function hasChanged(path: string, old: CopiedEntry | undefined, now: Entry): boolean {
  return old?.look !== now.look || (path !== "" && (old.isStale || old.own !== now.own));
}

function inodeOf({ own }: Entry): string | undefined {
  return own.split(" ")[1];
}

const fileOf = (layerFolder: string): string => join(layerFolder, "index");

export async function saveIndex(layerFolder: string, index: CopiedIndex): Promise<void> {
  const texts: string[] = [];
  for await (const part of inSlices(index)) {
    texts.push(
      part
        .map(
          ([path, { own, look, birth, isStale }]) => `${own}|${look}|${birth}|${isStale ? 1 : 0}|${path}\0`,
        )
        .join(""),
    );
  }
  await writeWhole(fileOf(layerFolder), Buffer.from(texts.join(""), "latin1"));
}

/** Undefined when there is none. */
export async function loadIndex(layerFolder: string): Promise<CopiedIndex | undefined> {
  const text = await readFile(fileOf(layerFolder), "latin1").catch(() => undefined);
  if (text === undefined) return undefined;
  const index: CopiedIndex = new Map();
  for await (const records of inSlices(text.split("\0"))) {
    for (const record of records) {
      const [own = "", look = "", birth = "", stale, ...path] = record.split("|");
      if (stale !== undefined) {
        index.set(path.join("|"), { ...entryOf(own, look, birth), isStale: stale === "1" });
      }
    }
  }
  return index;
}
