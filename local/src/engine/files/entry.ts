/** What the file programs print of an entry, as a record. */
import type { FileRecord } from "./api";

const fieldsOfEntry = 9;
const kinds: Record<string, FileRecord["type"]> = { f: "file", d: "directory", l: "symlink" };

/**
 * Reads entries in the format of `entryFormat`. A name that is not UTF-8 is shown with replacement characters; by that it
 * cannot be opened.
 */
export function parseEntries(output: Buffer): FileRecord[] {
  const fields = output.toString("utf8").split("\0");
  const entries: FileRecord[] = [];
  for (let at = 0; at + fieldsOfEntry < fields.length; at += fieldsOfEntry) {
    entries.push(entryOf(fields.slice(at, at + fieldsOfEntry)));
  }
  return entries;
}

function entryOf(fields: string[]): FileRecord {
  const [
    path = "",
    kind = "",
    size = "",
    mode = "",
    permissions = "",
    owner = "",
    group = "",
    time = "",
    target = "",
  ] = fields;
  return {
    name: path.slice(path.lastIndexOf("/") + 1) || "/",
    path,
    type: kinds[kind] ?? "other",
    size: Number(size),
    mode: mode.padStart(4, "0"),
    // The first letter is the kind.
    permissions: permissions.slice(1),
    ...{ owner, group },
    modifiedAt: timeOf(time),
    symlinkTarget: kind === "l" ? target : null,
  };
}

/** Seconds with a fraction. A file may claim any time at all; one that no calendar here has is shown as the nearest. */
function timeOf(seconds: string): string {
  const last = 253_402_300_799_999;
  const ms = Math.round(Number(seconds) * 1000);
  return new Date(Math.min(Math.max(Number.isNaN(ms) ? 0 : ms, 0), last)).toISOString();
}
