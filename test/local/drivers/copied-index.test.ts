import {
  deltaOf,
  indexAfter,
  isEmpty,
  type CopiedIndex,
  type Delta,
} from "../../../local/src/engine/drivers/sandbox/copied-index";
import { entryOf, type Tree } from "../../../local/src/engine/drivers/sandbox/scan";

const atMs = 1_000_000;
const isMapped = undefined;

/** A tree by paths; folders end with "/", and the number is the inode. */
function treeOf(inodes: Record<string, number>): Tree {
  const entries = Object.entries({ "/": 1, ...inodes }).map(([name, inode]) => {
    const type = name.endsWith("/") ? "d" : "f";
    const own = `${type} ${String(inode)} 1 ${String(inode)}`;
    return [name.replace(/\/$/, ""), entryOf(own, `${String(inode)} 644 0 0 1`, String(inode))] as const;
  });
  return new Map(entries);
}

/** The index after a copy of the whole tree that found this in what it made. */
async function copied(now: Tree, check: Tree, isWhole: boolean): Promise<CopiedIndex> {
  const delta = await deltaOf(new Map(), now);
  return indexAfter(now, delta, { atMs, isMapped, check, isWhole });
}

const sorted = ({ files, whole, removed }: Delta) => ({
  files: files.sort(),
  whole: whole.sort(),
  removed: removed.sort(),
});

const before = treeOf({ "d/": 2, "d/in": 3 });
const renamed = treeOf({ "e/": 2, "e/in": 3 });

test("nothing is left to copy of a tree that was copied and stays", async () => {
  expect(isEmpty(await deltaOf(await copied(before, before, true), before))).toBe(true);
});

test("a folder that goes is hidden, and the new one is copied with all that is in it", async () => {
  const delta = await deltaOf(await copied(before, before, true), renamed);
  expect(sorted(delta)).toEqual({ files: ["e/in"], whole: ["e"], removed: ["d"] });
});

test("so is one of a copy of which something is missing: it is there all the same", async () => {
  const delta = await deltaOf(await copied(before, before, false), renamed);
  expect(delta.removed).toEqual(["d"]);
  expect(delta.whole).toContain("e");
});

test("one of such a copy that stays is copied again with all that is in it", async () => {
  const delta = await deltaOf(await copied(before, before, false), before);
  expect(sorted(delta)).toEqual({ files: ["d/in"], whole: ["", "d"], removed: [] });
});

test("what the copy met by another name is hidden, and what it missed is copied", async () => {
  const both = treeOf({ "d/": 2, "d/in": 3, "e/": 2, "e/in": 3 });
  expect((await deltaOf(await copied(before, both, true), before)).removed).toEqual(["e"]);
  const missed = await deltaOf(await copied(before, renamed, true), before);
  expect(sorted(missed)).toEqual({ files: ["d/in"], whole: ["d"], removed: ["e"] });
});
