/**
 * Holds the processes of a machine for a moment, with signals. A shell lets them go when the control plane ends; should it
 * be killed as well, a file tells the next start, stop or sweep.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DriverError } from "../driver";
import type { MachineFolder } from "./machine-folder";
import { isDeaf, isStill, isStopped, processTable, signalProcess } from "./process-table";
import { waitUntil } from "./wait-until";

type Find = () => Promise<readonly number[]>;

/** A process that waits for a disk or a network file system cannot be held before that answers. */
const patienceMs = 5000;

/** $1 the file that tells. Reads the pids to stop, some a line. */
const holdScript = `all=
while read -r pids; do
  all="$all $pids"
  kill -STOP $pids
  echo
done
[ -z "$all" ] || kill -CONT $all
rm -f "$1"`;

const noteOf = (machine: MachineFolder): string => join(machine.path, "held");

/** Answers what lets go; what was stopped before stays so. @throws DriverError snapshot_failed. */
export async function holdProcesses(machine: MachineFolder, find: Find): Promise<() => Promise<void>> {
  const note = noteOf(machine);
  await writeFile(note, "stopped");
  const helper = await startHelper(note);
  const held = new Set<number>();
  const before = new Set<number>();
  const release = async (): Promise<void> => {
    await helper.end();
    for (const pid of held) signalProcess(pid, "SIGCONT"); // should the shell have been killed
    await rm(note, { force: true });
  };
  const stopAll = async (): Promise<boolean> => {
    // What was forked while we looked is found by the next look.
    const found = (await find()).filter((pid) => !held.has(pid) && !before.has(pid));
    for (const pid of found) (isStopped(pid) ? before : held).add(pid);
    const moving = [...held].filter((pid) => !isStill(pid) || found.includes(pid));
    if (moving.length > 0) await helper.stop(moving);
    const deaf = moving.filter(isDeaf);
    // What it may wait for goes on until the next look.
    const rows = deaf.length > 0 ? await processTable() : [];
    for (const { pid, parent } of rows) {
      if (held.has(pid) && deaf.includes(parent)) signalProcess(pid, "SIGCONT");
    }
    return moving.length === 0;
  };
  try {
    if (await waitUntil(stopAll, { withinMs: patienceMs, everyMs: 1 })) return release;
    const words =
      "the machine's processes could not be held for a moment: one of them waits for a disk or network; try again";
    throw new DriverError("snapshot_failed", words, true);
  } catch (error) {
    await release();
    throw error;
  }
}

/** Lets go what a killed control plane held; a no-op where nothing is. */
export async function releaseLeft(machine: MachineFolder, find: Find): Promise<void> {
  if ((await readFile(noteOf(machine), "utf8").catch(() => undefined)) === undefined) return;
  for (const pid of await find()) signalProcess(pid, "SIGCONT");
  await rm(noteOf(machine), { force: true });
}

async function startHelper(note: string): Promise<{
  stop: (pids: readonly number[]) => Promise<void>;
  end: () => Promise<void>;
}> {
  const child = spawn("/bin/sh", ["-c", holdScript, "sh", note], {
    ...{ detached: true, stdio: ["pipe", "pipe", "ignore"], cwd: "/" },
    env: { PATH: process.env["PATH"] ?? "/usr/bin:/bin" },
  });
  const ended = once(child, "close").catch(() => undefined);
  child.stdin.on("error", () => undefined); // it was killed: no answer tells
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    stop: async (pids) => {
      child.stdin.write(`${pids.join(" ")}\n`);
      if ((await answers.next()).done !== true) return;
      throw new DriverError(
        "snapshot_failed",
        "what holds the machine's processes was killed; try again",
        true,
      );
    },
    end: async () => {
      child.stdin.end();
      await ended;
    },
  };
}
