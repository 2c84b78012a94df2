/** The phases of a machine as one operation saw them, and the words for them. Pure. */
import type { MachineView } from "./controlplane/port";

export interface Transition {
  phase: string;
  reason: string;
  /** When we saw it, in milliseconds since 1970. */
  atMs: number;
}

/** As many as a person reads; the first and the latest are kept. */
const kept = 24;

/** The transitions after a look; the same array when nothing changed. */
export function noteTransition(
  history: readonly Transition[],
  view: MachineView,
  atMs: number,
): readonly Transition[] {
  const last = history.at(-1);
  if (last?.phase === view.phase && last.reason === view.reason) return history;
  const next = [...history, { phase: view.phase, reason: view.reason, atMs }];
  return next.length > kept ? [next[0] as Transition, ...next.slice(2)] : next;
}

/** Since when the machine is in its phase, in milliseconds since 1970, whatever the reason was. */
export function phaseSince(history: readonly Transition[]): number | undefined {
  const last = history.at(-1);
  if (!last) return undefined;
  let since = last.atMs;
  for (let at = history.length - 1; at >= 0 && history[at]?.phase === last.phase; at -= 1) {
    since = history[at]?.atMs ?? since;
  }
  return since;
}

/** "420 ms", "3.4 s", "2m05s", "1h00m". */
export function spanOf(ms: number): string {
  if (ms < 1_000) return `${String(Math.max(0, Math.round(ms)))} ms`;
  if (ms < 60_000) return `${(Math.floor(ms / 100) / 10).toFixed(1).replace(/\.0$/, "")} s`;
  const seconds = Math.floor(ms / 1_000);
  const two = (n: number): string => String(n).padStart(2, "0");
  if (seconds < 3_600) return `${String(Math.floor(seconds / 60))}m${two(seconds % 60)}s`;
  return `${String(Math.floor(seconds / 3_600))}h${two(Math.floor((seconds % 3_600) / 60))}m`;
}

/** "accepted at 10:02:03.120Z, starting after 40 ms, failed (image_missing) after 1.2 s". */
export function storyOf(history: readonly Transition[]): string {
  const first = history[0];
  if (!first) return "nothing was seen";
  return history
    .map(({ phase, reason, atMs }, at) => {
      const what = reason === "" || reason === phase ? phase : `${phase} (${reason})`;
      const when = new Date(atMs).toISOString().slice(11);
      return at === 0 ? `${what} at ${when}` : `${what} after ${spanOf(atMs - first.atMs)}`;
    })
    .join(", ");
}
