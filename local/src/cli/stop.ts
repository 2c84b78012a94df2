/** `machines-local stop` */
import { setTimeout as sleep } from "node:timers/promises";
import { removeEndpoint } from "../state-folder";
import { heldBy } from "../state-lock";

/** How long a clean stop may take. */
const stopTimeoutMs = 30_000;
const lookEveryMs = 50;
const tellEveryMs = 2_000;

export async function stop({ state }: { state: string }): Promise<void> {
  const held = heldBy(state);
  if (!held) {
    // What a killed one left says something that is not true any more.
    removeEndpoint(state);
    process.stdout.write(`No control plane runs on ${state}.\n`);
    return;
  }
  const pid = held.holder?.pid;
  if (pid === undefined)
    throw new Error(
      `${state} is held by a process that did not say which; look with: fuser ${state}/lock.db`,
    );
  if (held.holder?.ownProcess === false) {
    throw new Error(
      `the control plane of ${state} runs inside another program (process ${String(pid)}), which a stop would end as ` +
        `well; end that program instead`,
    );
  }
  signal(pid);
  const since = Date.now();
  let told = since;
  while (heldBy(state)) {
    if (Date.now() - since > stopTimeoutMs) {
      throw new Error(
        `process ${String(pid)} has not stopped within ${String(stopTimeoutMs / 1000)} s. End it with "kill -9 ${String(pid)}": ` +
          "its machines are found again at the next start.",
      );
    }
    if (Date.now() - told >= tellEveryMs) {
      told = Date.now();
      process.stderr.write(`waiting for process ${String(pid)} to stop ...\n`);
    }
    await sleep(lookEveryMs);
  }
  process.stdout.write("Stopped. Machines keep running; the next start finds them again.\n");
}

function signal(pid: number): void {
  try {
    process.kill(pid, "SIGTERM");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // It ended by itself just now: the lock says when.
    if (code === "ESRCH") return;
    throw new Error(`process ${String(pid)} cannot be stopped by this user (${code ?? "unknown"})`, {
      cause: error,
    });
  }
}
