/**
 * What is in a tree: one entry a file, as the tools of the jail list them. Names are bytes that need not be UTF-8, so texts are
 * read and written as latin1, which keeps every byte.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";

export interface Entry {
  /** As find prints it: d, f, l, c, ... */
  type: string;
  /** Inode, links and time of change: unlike any other state of this file. */
  own: string;
  /** What a faithful copy shares: modification time, mode, owner, size. */
  look: string;
  links: number;
  /** 0 for a folder. */
  bytes: number;
  /** Milliseconds since 1970, with fractions. */
  changedAtMs: number;
  /** When a folder was made, which no later one at its place shares; empty where the file system does not tell. */
  birth: string;
}

/** By path, "" being the root; a folder comes before what is in it. */
export type Tree = Map<string, Entry>;

/** How many entries are worked off before others get their turn. */
const slice = 2000;

/** Entries of a large tree are many: what loops over them lets others go on in between. */
export async function* inSlices<T>(items: Iterable<T>): AsyncGenerator<T[]> {
  let part: T[] = [];
  for (const item of items) {
    if (part.push(item) < slice) continue;
    yield part;
    part = [];
    await setImmediate();
  }
  yield part;
}

/** Reads the answers of the jail's `scan` or `check`. */
export async function readTree(job: string, name: "scan" | "check"): Promise<Tree> {
  const births = name === "scan" ? await readBirths(job) : new Map<string, string>();
  const tree: Tree = new Map();
  const text = await readFile(join(job, name), "latin1");
  for await (const records of inSlices(text.split("\0"))) {
    for (const record of records) {
      const at = record.indexOf("|");
      const end = record.indexOf("|", at + 1);
      if (end < 0) continue;
      const path = record.slice(end + 1);
      tree.set(path, entryOf(record.slice(0, at), record.slice(at + 1, end), births.get(path) ?? ""));
    }
  }
  return tree;
}

export function entryOf(own: string, look: string, birth: string): Entry {
  const [type = "", , links = "", changed = ""] = own.split(" ");
  const bytes = Number(look.slice(look.lastIndexOf(" ") + 1));
  return { type, own, look, links: Number(links), bytes, changedAtMs: Number(changed) * 1000, birth };
}

async function readBirths(job: string): Promise<Map<string, string>> {
  const births = new Map<string, string>();
  for (const record of (await readFile(join(job, "births"), "latin1")).split("\0")) {
    const at = record.indexOf("|");
    const birth = record.slice(0, at);
    // A file system that does not know says 0 or a dash.
    if (Number(birth) > 0) births.set(record.slice(at + 1).replace(/^\.\/?/, ""), birth);
  }
  return births;
}

export function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}
