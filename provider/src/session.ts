/** What the operations of one provider process share: the control plane, opened once, and what was seen of the state. */
import { randomUUID } from "node:crypto";
import { realClock, withDeadline, type Context } from "./context";
import { openControlPlane } from "./controlplane/open";
import type { ControlPlane } from "./controlplane/port";
import { defaultJournal, type FileJournal } from "./create-journal";
import { nothingSeen, type SeenState } from "./journal";
import { oneLine } from "./one-line";
import { openProgress, type Progress } from "./progress";
import { keyOf } from "./machine/sighting";
import type { Backend } from "./controlplane/capabilities";
import { nameOf } from "./urn";
import { backendIn, readSettings, type ConfigReader } from "./settings";

const flushMs = 250;

export class Session {
  readonly seen: SeenState = nothingSeen();
  readonly journal: FileJournal;
  private readonly engineGone = new AbortController();
  private opened: ControlPlane | undefined;
  private verified: Promise<void> | undefined;
  private shown: Progress | undefined;

  constructor(
    private readonly config: ConfigReader,
    private readonly env: NodeJS.ProcessEnv = process.env,
    private readonly argv: readonly string[] = process.argv,
  ) {
    this.journal = defaultJournal(env);
  }

  /** The backend that the stack has chosen; opens nothing. */
  backend(): Backend | undefined {
    return backendIn(this.config, this.env);
  }

  /** The engine named this resource, with what its state holds of it. Machines say more: see machine/sighting.ts. */
  saw(id: string, state: Record<string, unknown>): void {
    this.seen.ids.add(id);
    const { __urn: urn, __generation: generation } = state;
    if (typeof urn !== "string" || typeof generation !== "number") return;
    this.seen.generations.set(urn, Math.max(generation, this.seen.generations.get(urn) ?? -1));
  }

  /** Notes that a create has answered the engine with this state. */
  async answered(state: Record<string, unknown>): Promise<void> {
    const key = keyOf(state);
    if (key !== undefined && !this.engineGone.signal.aborted)
      await this.journal.write({ key, answered: true });
  }

  /** A line that stays on the terminal, also in a preview. */
  async tell(urn: string, message: string): Promise<void> {
    const progress = this.progress();
    progress.say({ urn, message: oneLine(message), ephemeral: false, severity: "warning" });
    await this.flush(progress, urn);
  }

  private progress(): Progress {
    return (this.shown ??= openProgress(this.argv, () => this.engineGone.abort()));
  }

  /** A line belongs before what it is about. An engine that does not listen any more is not waited for. */
  private async flush(progress: Progress, urn: string): Promise<void> {
    const stop = new AbortController();
    await Promise.race([progress.shown(urn), realClock.sleep(flushMs, stop.signal)]);
    stop.abort();
  }

  /**
   * As `run`, for an operation to which a missing resource is no error: first, and once, it is made sure that the address is
   * that of a service at all.
   */
  async runWhereGoneCounts<T>(
    urn: string,
    allowedMs: number,
    work: (context: Context) => Promise<T>,
  ): Promise<T> {
    return this.run(urn, allowedMs, async (context) => {
      this.verified ??= context.controlPlane.verify({ signal: context.signal });
      await this.verified;
      return work(context);
    });
  }

  /** Runs one operation on a resource. @throws SettingsError, NoLocalControlPlaneError before anything is sent. */
  async run<T>(urn: string, allowedMs: number, work: (context: Context) => Promise<T>): Promise<T> {
    this.opened ??= openControlPlane(readSettings(this.config, this.env), this.env);
    const progress = this.progress();
    const context = {
      name: nameOf(urn),
      urn,
      // Nobody waits any more when the CLI was killed: the next run does the work.
      signal: this.engineGone.signal,
      log: (message: string) =>
        progress.say({ urn, message: oneLine(message), ephemeral: true, severity: "info" }),
      warn: (message: string) =>
        progress.say({ urn, message: oneLine(message), ephemeral: false, severity: "warning" }),
      controlPlane: this.opened,
      journal: this.journal,
      seen: this.seen,
      clock: realClock,
      newKey: randomUUID,
      random: Math.random,
    };
    try {
      return await withDeadline(context, allowedMs, work);
    } finally {
      await this.flush(progress, urn);
    }
  }
}
