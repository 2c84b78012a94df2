/** Starts commands and finds them again; `sandbox` and `process` differ only in what stands before the command. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { watch, type FSWatcher } from "node:fs";
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
  private readonly running = new Map<string, RunningExec>();

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
    return this.remember(folder, {
      ...spool,
      exited,
      kill: (signal) => this.kill(folder, signal),
      ...{ writeStdin: noStdin, closeStdin: noStdin, resize: noStdin },
    });
  }

  /** Asked for often, also only to learn where the output is: it watches nothing until `exited` is read. */
  async attach(machine: MachineFolder, executionId: string): Promise<RunningExec | undefined> {
    const folder = execFolder(machine, executionId);
    const ended = await readExit(folder);
    const common = {
      ...spoolAt(folder),
      kill: (signal?: Signal) => this.kill(folder, signal),
      ...{ writeStdin: noStdin, closeStdin: noStdin, resize: noStdin },
    };
    if (ended) return { ...common, exited: Promise.resolve(ended) };
    const running = this.running.get(folder);
    if (running) return running;
    // Without a name it has just been started, or was killed before it could write it down.
    if (!(await wrapperOf(folder))) return undefined;
    const watchExit = (): Promise<ExecExit> => this.exitOf(folder, (look) => listenTo(folder, look));
    let exited: Promise<ExecExit> | undefined;
    return this.remember(folder, {
      ...common,
      get exited() {
        return (exited ??= watchExit());
      },
    });
  }

  async forget(machine: MachineFolder, executionId: string): Promise<void> {
    const folder = execFolder(machine, executionId);
    this.running.delete(folder);
    await removeTree(folder);
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
        this.running.delete(folder);
        resolve(exit);
      };
      const stop = listen(() => void look());
      this.watched.add(stop);
    });
  }

  private remember(folder: string, exec: RunningExec): RunningExec {
    this.running.set(folder, exec);
    return exec;
  }

  private async kill(folder: string, signal: Signal = "SIGKILL"): Promise<void> {
    const wrapper = await wrapperOf(folder);
    if (!wrapper || (await readExit(folder))) return;
    await signalTree(wrapper, signal, this.firstChild);
  }
}

const noStdin = async (): Promise<never> => {
  throw new DriverError("stdin_closed", "not built yet", false);
};

type Signal = "SIGTERM" | "SIGKILL";

/** For a command that is no child of ours: its folder changes when it ends, unless its wrapper was killed. */
function listenTo(folder: string, look: () => void): () => void {
  let watcher: FSWatcher | undefined;
  try {
    watcher = watch(folder, look).on("error", look);
  } catch {
    watcher = undefined; // no watch to be had, or the folder has gone: the timer finds out
  }
  const timer = setInterval(look, lookAgainMs);
  look(); // it may have ended before we watched
  return () => {
    watcher?.close();
    clearInterval(timer);
  };
}

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
