/** Starts commands and finds them again; `sandbox` and `process` differ only in what stands before the command. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { watch } from "node:fs";
import { DriverError, type ExecExit, type ExecSpec, type RunningExec } from "../driver";
import { execTag, insideScript } from "./exec-scripts";
import { createSpool, readExit, readWrapper, spoolAt } from "./exec-spool";
import { execFolder, removeTree, type MachineFolder } from "./machine-folder";
import { bootId, findByArguments, findProcess, isAlive, type ProcessIdentity } from "./process-table";
import { signalTree } from "./signal-tree";

/** How often a command of an earlier control plane is looked after when no file changes. */
const lookAgainMs = 1000;

/** What a driver puts around a command. */
export interface ExecPlace {
  /** Our `exec.sh`. */
  script: string;
  /** Stands before `/bin/sh -c ...`: what enters the machine. */
  prefix: string[];
  /** Cgroups to join first. */
  cgroups: string[];
  cwd: string;
  /** The whole environment but the command's own variables. */
  env: Record<string, string>;
  /** Who owns the output files, where that is not us. */
  owner?: number;
}

export class ShellExecs {
  private readonly watched = new Set<() => void>();

  /** What the wrapper's own child is: the command, or a program that only waits for it. */
  constructor(private readonly firstChild: "command" | "waits") {}

  async start(machine: MachineFolder, spec: ExecSpec, place: ExecPlace): Promise<RunningExec> {
    const earlier = await this.attach(machine, spec.executionId);
    if (earlier) return earlier;
    const folder = execFolder(machine, spec.executionId);
    const spool = await createSpool(folder, spec, place.owner);
    const inside = ["/bin/sh", "-c", insideScript, "sh", spec.cwd ?? place.cwd, ...spec.command];
    const child = spawn(
      "/bin/sh",
      [
        place.script,
        execTag,
        machine.path,
        folder,
        bootId(),
        String(place.cgroups.length),
        ...place.cgroups,
        ...place.prefix,
        ...inside,
      ],
      { detached: true, stdio: "ignore", cwd: "/", env: place.env },
    );
    await started(child);
    const exited = this.exitOf(folder, (look) => {
      child.once("exit", look);
      if (child.exitCode !== null || child.signalCode !== null) look();
      return () => {
        child.off("exit", look);
        child.unref(); // we may end, it goes on
      };
    });
    return { ...spool, exited, kill: (signal) => this.kill(folder, signal) };
  }

  async attach(machine: MachineFolder, executionId: string): Promise<RunningExec | undefined> {
    const folder = execFolder(machine, executionId);
    const ended = await readExit(folder);
    const common = { ...spoolAt(folder), kill: (signal?: Signal) => this.kill(folder, signal) };
    if (ended) return { ...common, exited: Promise.resolve(ended) };
    const wrapper = await readWrapper(folder);
    // Started, but killed or not yet come to writing its name.
    if (!wrapper && findByArguments(execTag, folder).length === 0) return undefined;
    const exited = this.exitOf(folder, (look) => {
      const watcher = watch(folder, look);
      watcher.on("error", look);
      const timer = setInterval(look, lookAgainMs);
      look(); // it may have ended before we watched
      return () => {
        watcher.close();
        clearInterval(timer);
      };
    });
    return { ...common, exited };
  }

  async forget(machine: MachineFolder, executionId: string): Promise<void> {
    await removeTree(execFolder(machine, executionId));
  }

  close(): void {
    for (const stop of this.watched) stop();
    this.watched.clear();
  }

  /** `listen` calls `look` whenever it may have ended. */
  private exitOf(folder: string, listen: (look: () => void) => () => void): Promise<ExecExit> {
    return new Promise((resolve) => {
      const look = async (): Promise<void> => {
        const exit = await endOf(folder);
        if (!exit || !this.watched.delete(stop)) return;
        stop();
        resolve(exit);
      };
      const stop = listen(() => void look());
      this.watched.add(stop);
    });
  }

  private async kill(folder: string, signal: Signal = "SIGKILL"): Promise<void> {
    const wrapper = await wrapperOf(folder);
    if (!wrapper || (await readExit(folder))) return;
    await signalTree(wrapper, signal, this.firstChild);
  }
}

type Signal = "SIGTERM" | "SIGKILL";

async function started(child: ChildProcess): Promise<void> {
  try {
    await once(child, "spawn");
  } catch (error) {
    const words = error instanceof Error ? error.message : String(error);
    throw new DriverError("exec_failed", `cannot start a shell on this host: ${words}`, true, {
      cause: error,
    });
  }
}

/** Undefined while it runs. Without a recorded exit and without its wrapper nothing can be learned any more. */
async function endOf(folder: string): Promise<ExecExit | undefined> {
  const wrapper = await wrapperOf(folder);
  const alive = wrapper !== undefined && (await isAlive(wrapper));
  // Read after the look at the process: it writes first and ends then.
  return (await readExit(folder)) ?? (alive ? undefined : { exitCode: null, signal: null });
}

async function wrapperOf(folder: string): Promise<ProcessIdentity | undefined> {
  const named = await readWrapper(folder);
  if (named) return named;
  const [pid] = findByArguments(execTag, folder);
  return pid === undefined ? undefined : await findProcess(pid);
}
