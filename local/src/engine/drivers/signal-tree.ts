import { isAlive, processTable, signalProcess, treeOf, type ProcessIdentity } from "./process-table";
import { waitUntil } from "./wait-until";

const patienceMs = 5000;

/**
 * Signals everything below a command's wrapper, but not the wrapper: it must live to record the exit.
 *
 * SIGKILL is repeated until nothing is left, since a process may fork while we look. SIGTERM goes out once, and not to
 * what merely waits for the command (`nsenter` would end and leave the command behind).
 */
export async function signalTree(
  wrapper: ProcessIdentity,
  signal: "SIGTERM" | "SIGKILL",
  firstChild: "command" | "waits",
): Promise<void> {
  await waitUntil(
    async () => {
      if (!(await isAlive(wrapper))) return true;
      const tree = treeOf(await processTable(), wrapper.pid);
      if (signal === "SIGKILL") {
        for (const row of tree) signalProcess(row.pid, "SIGKILL");
        return false; // until the wrapper has recorded the exit
      }
      const targets = tree.filter((row) => firstChild === "command" || row.parent !== wrapper.pid);
      for (const row of targets) signalProcess(row.pid, "SIGTERM");
      return targets.length > 0;
    },
    { withinMs: patienceMs, everyMs: 10 },
  );
}
