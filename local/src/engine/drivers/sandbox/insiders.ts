/** The processes of a machine, as the host sees them. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

export interface Insider {
  pid: number;
  parent: number;
  /** One letter, as in /proc: R, S, D, T, Z, ... */
  state: string;
}

/** Everything in the pid namespace of this init, but init itself. */
export function insidersOf(init: number): Insider[] {
  const namespace = linkOf(init);
  if (namespace === undefined) return [];
  return readdirSync("/proc").flatMap((name) => {
    const pid = Number(name);
    if (Number.isNaN(pid) || pid === init || linkOf(pid) !== namespace) return [];
    const text = readProc(pid, "stat");
    const [state, parent] = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return state === undefined || state === "" ? [] : [{ pid, parent: Number(parent), state }];
  });
}

/** Files that one of these processes may write to through memory, which may leave no time of change. */
export function sharedFiles(pids: readonly number[]): { paths: Set<string>; inodes: Set<string> } {
  const found = { paths: new Set<string>(), inodes: new Set<string>() };
  for (const pid of pids) {
    for (const line of readProc(pid, "maps").split("\n")) {
      const [, inode, path] = /^\S+ .w.s \S+ \S+ (\d+)\s+\/(.*)$/.exec(line) ?? [];
      if (inode === undefined || path === undefined) continue;
      // The path is that of the machine; where it sees the file elsewhere too, the inode may tell.
      found.paths.add(path.replaceAll("\\012", "\n"));
      found.inodes.add(inode);
    }
  }
  return found;
}

function linkOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`);
  } catch {
    return undefined; // it has ended, or is another user's
  }
}

/** Latin1, as names may be any bytes; empty when the process has ended. */
function readProc(pid: number, file: "stat" | "maps"): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "latin1");
  } catch {
    return "";
  }
}
