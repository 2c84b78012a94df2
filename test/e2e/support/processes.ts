/** The processes that one test started, found by a mark in their environment: Pulumi's own children leave its group. */
import { readdirSync, readFileSync } from "node:fs";

export const markName = "MACHINES_E2E_MARK";

/** Process ids whose environment holds the mark, and whose command line holds `part`. */
export function marked(mark: string, part = ""): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => {
      try {
        const environment = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
        if (!environment.includes(`${markName}=${mark}`)) return false;
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").includes(part);
      } catch {
        // It has ended, or belongs to somebody else.
        return false;
      }
    })
    .map(Number);
}

/** kill -9 of the test's own processes, or those of them whose command line holds `part`, but not of `spared`. */
export function killMarked(mark: string, part = "", spared?: number): number {
  const pids = marked(mark, part).filter((pid) => pid !== spared);
  for (const pid of pids) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It ended by itself.
    }
  }
  return pids.length;
}
