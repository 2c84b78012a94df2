/** Starts commands and finds them again; `sandbox` and `process` differ only in what stands before the command. */
import { spawn, type ChildProcess, type StdioOptions } from "node:child_process";
import { once } from "node:events";
import { watch, type FSWatcher } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { DriverError, type ExecExit, type ExecSpec, type RunningExec } from "../driver";
import { execTag, insideScript, onTerminalText, terminalScript } from "./exec-scripts";
import { createSpool, hasOpenStdin, readExit } from "./exec-spool";
import { execFolder, removeTree, type MachineFolder } from "./machine-folder";
import { bootId } from "./process-table";
import { endOf, SpooledExec, wrapperOf } from "./spooled-exec";

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
    await createSpool(folder, spec, place.owner);
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
      return this.remember(folder, () => exited);
    } finally {
      await named?.close();
    }
  }

  async attach(machine: MachineFolder, executionId: string): Promise<RunningExec | undefined> {
    const folder = execFolder(machine, executionId);
    const ended = await readExit(folder);
    if (ended) return new SpooledExec(folder, this.firstChild, () => Promise.resolve(ended));
    const running = this.running.get(folder);
    if (running) return running;

    // Without a name it has just been started, or was killed before it could write it down.
    if (!(await wrapperOf(folder))) return undefined;
    return this.remember(folder, () => this.exitOf(folder, (look) => listenTo(folder, look)));
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

  private remember(folder: string, watchExit: () => Promise<ExecExit>): RunningExec {
    const exec = new SpooledExec(folder, this.firstChild, watchExit);
    this.running.set(folder, exec);
    return exec;
  }
}

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
