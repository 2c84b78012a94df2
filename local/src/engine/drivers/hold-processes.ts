/** Holds the processes of a machine for a moment, with signals. Should we be killed, a file tells the next start, stop or sweep. */
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { MachineFolder } from "./machine-folder";
import { isStopped, signalProcess } from "./process-table";

type Find = () => Promise<readonly number[]>;

const noteOf = (machine: MachineFolder): string => join(machine.path, "held");

/** Answers what lets go; what was stopped before stays so. */
export async function holdProcesses(machine: MachineFolder, find: Find): Promise<() => Promise<void>> {
  await writeFile(noteOf(machine), "stopped");
  const held = new Set<number>();
  const before = new Set<number>();
  // What was forked while we looked is found by the next look.
  for (let grew = true; grew;) {
    grew = false;
    for (const pid of await find()) {
      if (held.has(pid) || before.has(pid)) continue;
      grew = true;
      if (isStopped(pid)) {
        before.add(pid);
        continue;
      }
      held.add(pid);
      signalProcess(pid, "SIGSTOP");
    }
  }
  return async () => {
    for (const pid of held) signalProcess(pid, "SIGCONT");
    await rm(noteOf(machine), { force: true });
  };
}

/** Lets go what a killed control plane held; a no-op where nothing is. */
export async function releaseLeft(machine: MachineFolder, find: Find): Promise<void> {
  if ((await readFile(noteOf(machine), "utf8").catch(() => undefined)) === undefined) return;
  for (const pid of await find()) signalProcess(pid, "SIGCONT");
  await rm(noteOf(machine), { force: true });
}
