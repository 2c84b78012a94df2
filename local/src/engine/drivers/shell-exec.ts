/** Starts commands and finds them again; `sandbox` and `process` differ only in what stands before the command. */
import { spawn, type ChildProcess, type StdioOptions } from "node:child_process";
import { once } from "node:events";
import { watch, type FSWatcher } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { DriverError, type ExecExit, type ExecSpec, type RunningExec } from "../driver";
import { ExecInput } from "./exec-input";
import { execTag, insideScript, onTerminalText, terminalScript } from "./exec-scripts";
import { createSpool, hasBegun, hasOpenStdin, readExit, readWrapper, spoolAt } from "./exec-spool";
import { execFolder, removeTree, type MachineFolder } from "./machine-folder";
import { bootId, findByArguments, findProcess, isAlive, type ProcessIdentity } from "./process-table";
import { signalTree } from "./signal-tree";
import { waitUntil } from "./wait-until";

/** How often a command of an earlier control plane is looked after when no file changes. */
const lookAgainMs = 1000;
/** A command that has not begun within this time is taken for one that is slow and not for one that failed. */
const beginMs = 10_000;

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
    const named = hasOpenStdin(spec) ? await namePipe(join(folder, "stdin")) : undefined;
    try {
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
          ...insideCommand(spec, place.cwd),
        ],
        { detached: true, stdio: stdioWith(named?.fd), cwd: "/", env: place.env },
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
      return this.remember(folder, { ...spool, ...this.controls(folder), exited });
    } finally {
      await named?.close();
    }
  }

  /** Asked for often, also only to learn where the output is: it watches nothing until `exited` is read. */
  async attach(machine: MachineFolder, executionId: string): Promise<RunningExec | undefined> {
    const folder = execFolder(machine, executionId);
    const ended = await readExit(folder);
    if (ended) return { ...spoolAt(folder), ...this.controls(folder), exited: Promise.resolve(ended) };
    const running = this.running.get(folder);
    if (running) return running;
    // Without a name it has just been started, or was killed before it could write it down.
    if (!(await wrapperOf(folder))) return undefined;
    const watchExit = (): Promise<ExecExit> => this.exitOf(folder, (look) => listenTo(folder, look));
    let exited: Promise<ExecExit> | undefined;
    return this.remember(folder, {
      ...spoolAt(folder),
      ...this.controls(folder),
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

  /** Everything that can be done with a command by what lies in its folder. */
  private controls(folder: string): Controls {
    const input = new ExecInput(folder, async () => (await endOf(folder)) !== undefined);
    let begun: Promise<boolean> | undefined;
    return {
      begun: () => (begun ??= untilBegun(folder)),
      kill: (signal) => this.kill(folder, signal),
      writeStdin: (data, options) => input.write(data, options?.signal),
      closeStdin: () => input.close(),
      resize: (size) => input.resize(size),
    };
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

type Controls = Pick<RunningExec, "begun" | "kill" | "writeStdin" | "closeStdin" | "resize">;
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

function insideCommand(spec: ExecSpec, home: string): string[] {
  const flags = `-${spec.makeCwd ? "m" : ""}${hasOpenStdin(spec) ? "i" : ""}${spec.asAtPrompt ? "p" : ""}`;
  const cwd = spec.cwd ?? home;
  if (!spec.terminal) return ["/bin/sh", "-c", insideScript, "sh", flags, cwd, ...spec.command];
  const text = onTerminalText(spec.command, spec.terminal);
  return ["/bin/sh", "-c", terminalScript, "sh", flags, cwd, text, spec.command[0] ?? ""];
}

/** The number of the descriptor by which a command opens its stdin; the scripts know it too. */
const stdinName = 9;
const stdioWith = (fd: number | undefined): StdioOptions =>
  fd === undefined ? "ignore" : [...Array<"ignore">(stdinName).fill("ignore"), fd];

/**
 * Opens a pipe neither for reading nor for writing, so that whoever inherits it counts as no reader of it.
 * Linux only: elsewhere nothing stands between the command and its pipe.
 */
async function namePipe(path: string): Promise<FileHandle | undefined> {
  const oPath = 0o10_000_000;
  return process.platform === "linux" ? open(path, oPath) : undefined;
}

async function untilBegun(folder: string): Promise<boolean> {
  let ended = false;
  const isKnown = async (): Promise<boolean> => {
    ended = (await endOf(folder)) !== undefined;
    return ended || hasBegun(folder);
  };
  // A matter of milliseconds.
  await waitUntil(isKnown, { withinMs: beginMs, everyMs: 2 });
  return !ended || hasBegun(folder);
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
