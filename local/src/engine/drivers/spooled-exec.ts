/** A command by what lies in its folder: all that is needed to find it again, to follow it and to end it. */
import { stat } from "node:fs/promises";
import type { ExecExit, RunningExec, TerminalSize } from "../driver";
import { ExecInput } from "./exec-input";
import { hasBegun, readExit, readWrapper, spoolAt } from "./exec-spool";
import { findByArguments, findProcess, isAlive, type ProcessIdentity } from "./process-table";
import { execTag } from "./exec-scripts";
import { signalTree } from "./signal-tree";
import { waitUntil } from "./wait-until";

/** A command that has not begun within this time is taken for one that is slow and not for one that failed. */
const beginMs = 10_000;

type Signal = "SIGTERM" | "SIGKILL";

export class SpooledExec implements RunningExec {
  readonly stdoutPath: string;
  readonly stderrPath: string;
  private readonly input: ExecInput;
  private watched: Promise<ExecExit> | undefined;
  private beginning: Promise<boolean> | undefined;

  constructor(
    private readonly folder: string,
    /** What the wrapper's own child is: the command, or a program that only waits for it. */
    private readonly firstChild: "command" | "waits",
    private readonly watchExit: () => Promise<ExecExit>,
  ) {
    ({ stdoutPath: this.stdoutPath, stderrPath: this.stderrPath } = spoolAt(folder));
    this.input = new ExecInput(folder, async () => (await endOf(folder)) !== undefined);
  }

  /** Asked for often, also only to learn where the output is: nothing is watched until this is read. */
  get exited(): Promise<ExecExit> {
    return (this.watched ??= this.watchExit());
  }

  begun(): Promise<boolean> {
    return (this.beginning ??= this.untilBegun());
  }

  async kill(signal: Signal = "SIGKILL"): Promise<void> {
    const wrapper = await wrapperOf(this.folder);
    if (!wrapper || (await readExit(this.folder))) return;
    await signalTree(wrapper, signal, this.firstChild);
  }

  writeStdin(data: Uint8Array, options?: { signal?: AbortSignal }): Promise<void> {
    return this.input.write(data, options?.signal);
  }

  closeStdin(): Promise<void> {
    return this.input.close();
  }

  resize(size: TerminalSize): Promise<void> {
    return this.input.resize(size);
  }

  private async untilBegun(): Promise<boolean> {
    let ended = false;
    void this.exited.then(() => (ended = true));
    // A matter of milliseconds.
    await waitUntil(async () => (await hasBegun(this.folder)) || ended, { withinMs: beginMs, everyMs: 2 });
    return !ended || hasBegun(this.folder);
  }
}

/** Undefined while it runs. Without a recorded exit and without its wrapper nothing can be learned any more. */
export async function endOf(folder: string): Promise<ExecExit | undefined> {
  const wrapper = await wrapperOf(folder);
  const alive = wrapper !== undefined && (await isAlive(wrapper));
  // Read after the look at the process: it writes first and ends then.
  return (await readExit(folder)) ?? (alive ? undefined : { exitCode: null, signal: null });
}

/** The process that waits for the command outside of the machine; undefined when there was never one. */
export async function wrapperOf(folder: string): Promise<ProcessIdentity | undefined> {
  const named = await readWrapper(folder);
  if (named) return named;
  if (!(await stat(folder).catch(() => undefined))) return undefined;
  const [pid] = findByArguments(execTag, folder);
  return pid === undefined ? undefined : await findProcess(pid);
}
