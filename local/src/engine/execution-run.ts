/**
 * One running command: follows its output and its end, and sees that both get into the store. The command itself needs
 * nobody: a control plane that was killed finds it again and goes on where the store ends.
 */
import type { Database, Tx } from "../store/store";
import type { ExecExit, RunningExec } from "./driver";
import type { OutputStream } from "./processes/api";
import { OutputWatch } from "./processes/output-watch";
import { Pulse } from "./processes/pulse";
import { OutputRecorder, pathOf, type Position } from "./processes/recorder";

export interface RunOptions {
  db: Database;
  executionId: string;
  machineId: string;
  /** The number by which callers of `Processes` hold it. */
  pid: number;
  /** As its user wrote it. */
  command: string;
  exec: RunningExec;
  now: () => Date;
  report: (message: string, error?: unknown) => void;
  /** Milliseconds that the command may still take; null is no limit. */
  timeoutMs: number | null;
}

/** Why the command was ended by us, where it was. */
export type Ending = { status: "cancelled" } | { status: "failed"; errorCode: string; errorMessage: string };

export class ExecutionRun {
  /** Resolves when the end of the command is in the store; never rejects. */
  readonly finished: Promise<void>;
  readonly recorder: OutputRecorder;
  /** Beats when output has come, and at the end. */
  readonly pulse = new Pulse();
  /** Beats once, when nothing more will come of this run. */
  readonly over = new Pulse();
  private readonly changed: Position = { stdout: 0, stderr: 0 };
  private ending: Ending | undefined;
  private state: "runs" | "ended" | "closed" = "runs";
  private watch: OutputWatch | undefined;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    readonly options: RunOptions,
    private readonly complete: (tx: Tx, exit: ExecExit, ending: Ending | undefined) => Promise<void>,
  ) {
    this.recorder = new OutputRecorder(options);
    this.finished = this.follow().catch((error: unknown) => {
      options.report(`execution ${options.executionId}: could not record its end`, error);
      void this.close();
    });
  }

  get isRunning(): boolean {
    return this.state === "runs";
  }

  /** The control plane ends: nothing more is told of this command. */
  get isClosed(): boolean {
    return this.state === "closed";
  }

  pathOf(stream: OutputStream): string {
    return pathOf(this.options.exec, stream);
  }

  /** How often the stream has been seen to change; it may have more of which we have not heard yet. */
  changes(stream: OutputStream): number {
    return this.changed[stream];
  }

  /** Ends the command; the first reason given is the one that is recorded. */
  async end(ending: Ending): Promise<void> {
    this.ending ??= ending;
    await this.options.exec.kill("SIGKILL");
  }

  /** Names the reason for an end that somebody else brings about, such as the stop of the machine. */
  expectEnd(ending: Ending): void {
    this.ending ??= ending;
  }

  /** Stops following; the command goes on. */
  async close(): Promise<void> {
    this.state = "closed";
    this.unwatch();
    await this.recorder.close();
    this.pulse.beat();
    this.over.beat();
  }

  private async follow(): Promise<void> {
    const { exec, executionId, timeoutMs, report } = this.options;
    await this.recorder.open();
    if (this.isClosed) return;
    const changed = (path: string): void => {
      this.changed[path === exec.stdoutPath ? "stdout" : "stderr"]++;
      this.pulse.beat();
      this.recorder.gather();
    };
    const paths = [exec.stdoutPath, exec.stderrPath];
    this.watch = new OutputWatch(paths, changed, (error) =>
      report(`execution ${executionId}: its output cannot be watched and may come late`, error),
    );
    if (timeoutMs !== null) this.endAfter(timeoutMs);
    for (const path of paths) changed(path); // What was written before we watched.
    this.recorder.pump();
    const exit = await exec.exited;
    if (this.isClosed) return;
    this.unwatch();
    await this.recorder.finish();
    await this.options.db.transaction().execute(async (tx) => {
      await this.recorder.write(tx);
      await this.complete(tx, exit, this.ending);
    });
    this.state = "ended";
    this.recorder.finished();
    this.pulse.beat();
    this.over.beat();
  }

  private endAfter(timeoutMs: number): void {
    const ending: Ending = {
      status: "failed",
      errorCode: "EXECUTION_TIMEOUT",
      errorMessage: "the command did not end within its timeout_ms and was killed",
    };
    const left = Math.max(timeoutMs, 0);
    // A timer holds 2^31 ms at most, 24.8 days; what is longer is asked for again.
    this.timer = setTimeout(
      () => {
        if (left > maxTimerMs) this.endAfter(left - maxTimerMs);
        else void this.end(ending);
      },
      Math.min(left, maxTimerMs),
    );
  }

  private unwatch(): void {
    clearTimeout(this.timer);
    this.watch?.close();
  }
}

const maxTimerMs = 2_147_483_647;
