import { closeSync, openSync } from "node:fs";

/** Ctrl-C on a terminal reaches every process of the group; elsewhere a signal is sent to one process only. */
export function hasTerminal() {
  try {
    closeSync(openSync("/dev/tty", "r"));
    return true;
  } catch {
    // ENXIO or ENOENT: there is none.
    return false;
  }
}

/**
 * What to do with a signal that arrived while the CLI runs. The CLI ends in good order on the first SIGINT and at once on
 * the second, so it must get each Ctrl-C exactly once: from the terminal if there is one, else from here. (npm sends its
 * own copy to us, which is why a SIGINT is never forwarded where a terminal has already delivered it.)
 */
export const isForwarded = (name, { terminal }) => name !== "SIGINT" || !terminal;

/** Calls `act` with each of the signals that end a program, until the returned function is called. */
export function onEndingSignal(act) {
  const names = ["SIGINT", "SIGTERM", "SIGHUP"];
  for (const name of names) process.on(name, act);
  return () => {
    for (const name of names) process.off(name, act);
  };
}

/** Ends this process by the signal that ended its work, so that a shell or npm sees the same. */
export function endBySignal(name) {
  process.kill(process.pid, name);
  // Delivery is not immediate; without this the process could end with code 0 first.
  setTimeout(() => process.exit(1), 1_000);
}
