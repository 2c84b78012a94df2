/** Files that processes have in their memory. */
import { readFileSync } from "node:fs";

/** Files that one of these processes may write to through memory, which may leave no time of change. */
export function sharedFiles(pids: readonly number[]): { paths: Set<string>; inodes: Set<string> } {
  const found = { paths: new Set<string>(), inodes: new Set<string>() };
  for (const pid of pids) {
    for (const line of mapsOf(pid).split("\n")) {
      const [, inode, path] = /^\S+ .w.s \S+ \S+ (\d+)\s+\/(.*)$/.exec(line) ?? [];
      if (inode === undefined || path === undefined) continue;
      // The path is that of the machine; where it sees the file elsewhere too, the inode may tell.
      found.paths.add(path.replaceAll("\\012", "\n"));
      found.inodes.add(inode);
    }
  }
  return found;
}

/** Latin1, as names may be any bytes; empty when the process has ended, and outside Linux. */
function mapsOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/maps`, "latin1");
  } catch {
    return "";
  }
}
