/** What the operations of one provider process share: the control plane, opened once, and what was seen of the state. */
import { randomUUID } from "node:crypto";
import { realClock, withDeadline, type Context } from "./context";
import { openControlPlane } from "./controlplane/open";
import type { ControlPlane } from "./controlplane/port";
import { defaultJournal, type FileJournal } from "./create-journal";
import { nothingSeen, type SeenState } from "./journal";
import { openProgress, type Progress } from "./progress";
import { readSettings, type ConfigReader } from "./settings";

const flushMs = 250;

export class Session {
  readonly seen: SeenState = nothingSeen();
  readonly journal: FileJournal;
  private opened: ControlPlane | undefined;
  private shown: Progress | undefined;

  constructor(
    private readonly config: ConfigReader,
    private readonly env: NodeJS.ProcessEnv = process.env,
    private readonly argv: readonly string[] = process.argv,
  ) {
    this.journal = defaultJournal(env);
  }

  /** Runs one operation on a resource. @throws SettingsError, NoLocalControlPlaneError before anything is sent. */
  async run<T>(urn: string, allowedMs: number, work: (context: Context) => Promise<T>): Promise<T> {
    this.opened ??= openControlPlane(readSettings(this.config, this.env), this.env);
    const progress = (this.shown ??= openProgress(this.argv));
    const context = {
      name: urn === "" ? "unnamed" : urn.slice(urn.lastIndexOf("::") + 2),
      urn,
      signal: new AbortController().signal,
      log: (message: string) => progress.say({ urn, message, ephemeral: true, severity: "info" }),
      warn: (message: string) => progress.say({ urn, message, ephemeral: false, severity: "warning" }),
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
      // The last line belongs before the result. An engine that does not listen any more is not waited for.
      const stop = new AbortController();
      await Promise.race([progress.shown(), realClock.sleep(flushMs, stop.signal)]);
      stop.abort();
    }
  }
}
