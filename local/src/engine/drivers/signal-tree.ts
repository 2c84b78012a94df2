import {
  isAlive,
  processTable,
  type ProcessRow,
  signalProcess,
  treeOf,
  type ProcessIdentity,
} from "./process-table";
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
  // What was forked while we looked has lost its parent, and is found by its session; a terminal has one of its own.
  const sessions = new Set([wrapper.pid]);
  if (!(await isAlive(wrapper))) return;
  await waitUntil(
    async () => {
      const alive = await isAlive(wrapper);
      const rows = await processTable();
      const tree = below(rows, sessions);
      if (signal === "SIGKILL") {
        for (const row of tree) {
          if (row.session === row.pid) sessions.add(row.pid);
          signalProcess(row.pid, "SIGKILL");
        }
        return !alive && tree.length === 0; // alive until it has recorded the exit
      }
      const targets = tree.filter((row) => firstChild === "command" || row.parent !== wrapper.pid);
      for (const row of targets) signalProcess(row.pid, "SIGTERM");
      return targets.length > 0 || !alive;
    },
    { withinMs: patienceMs, everyMs: 10 },
  );
}

function below(rows: readonly ProcessRow[], roots: ReadonlySet<number>): ProcessRow[] {
  return [...new Set([...roots].flatMap((root) => treeOf(rows, root)))];
}
