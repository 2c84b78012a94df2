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
/** What waits for the command ends with it; it is only killed when it has not within this time. */
const waiterMs = 1000;

/**
 * Signals everything below a command's wrapper, but not the wrapper: it must live to record the exit.
 *
 * SIGKILL is repeated until nothing is left, since a process may fork while we look. SIGTERM goes out once. What merely
 * waits for the command (`nsenter`) is spared: it would leave the command behind, or a zombie that holds up the machine's end.
 */
export async function signalTree(
  wrapper: ProcessIdentity,
  signal: "SIGTERM" | "SIGKILL",
  firstChild: "command" | "waits",
): Promise<void> {
  // What was forked while we looked has lost its parent, and is found by its session; a terminal has one of its own.
  const sessions = new Set([wrapper.pid]);
  if (!(await isAlive(wrapper))) return;
  const begun = performance.now();
  await waitUntil(
    async () => {
      const alive = await isAlive(wrapper);
      const tree = below(await processTable(), sessions);
      const spares = firstChild === "waits" && alive && performance.now() - begun < waiterMs;
      const targets = tree.filter((row) => !spares || row.parent !== wrapper.pid);
      for (const row of targets) {
        if (row.session === row.pid) sessions.add(row.pid);
        signalProcess(row.pid, signal);
      }
      if (signal === "SIGTERM") return targets.length > 0 || !alive;
      // Alive until it has recorded the exit.
      return !alive && tree.length === 0;
    },
    { withinMs: patienceMs, everyMs: 10 },
  );
}

function below(rows: readonly ProcessRow[], roots: ReadonlySet<number>): ProcessRow[] {
  return [...new Set([...roots].flatMap((root) => treeOf(rows, root)))];
}
