/**
 * Lines on a resource's own row in the CLI. A dynamic provider is not connected to the engine's log, but its process is
 * given the engine's address. Never fails an operation.
 */
import { engineAddress, openEngineLog } from "./engine-log";

export interface ProgressLine {
  urn: string;
  message: string;
  /** True for a line that is gone when the operation is over. */
  ephemeral: boolean;
  severity: "info" | "warning";
}

export interface Progress {
  say(line: ProgressLine): void;
  /** Resolves when the resource's lines so far are on the terminal; may never, when the engine is gone. */
  shown(urn: string): Promise<void>;
}

const silent: Progress = { say: () => undefined, shown: () => Promise.resolve() };

/**
 * The engine of this provider process; silent where there is none, as in a test. `onGone` is told when the engine does
 * not answer any more: the CLI was killed.
 */
export function openProgress(argv: readonly string[], onGone: () => void): Progress {
  const address = engineAddress(argv);
  if (address === undefined) return silent;
  try {
    return openEngineLog(address, onGone);
  } catch {
    // Another version of Pulumi may keep these modules elsewhere: then there are no lines, and all else works.
    return silent;
  }
}
