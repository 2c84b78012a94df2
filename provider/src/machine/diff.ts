/** What a change in the program means for a machine. Pure. */
import type { Backend } from "../controlplane/capabilities";
import { argumentOf, changesBetween, sameValue, type Change } from "./changes";
import { sameMachine } from "./adopt";
import { mayLoseDisk } from "./rules";
import { isUnknown } from "../hidden";

export interface MachineDiff {
  changes: boolean;
  /** Names of arguments, as Pulumi wants them. */
  replaces: string[];
  /** What differs, for messages and tests. */
  changed: Change[];
}

/**
 * @param olds What the state says of the machine: its live values.
 * @param news The checked inputs; may hold values that are not known yet, which count as changed and never replace.
 */
export function diffMachine(
  id: string,
  olds: Record<string, unknown>,
  news: Record<string, unknown>,
  backend: Backend,
): MachineDiff {
  const changed = changesBetween(olds, news, backend);
  const replaces = new Set(
    changed
      .filter(({ effect, unknown }) => effect === "replace" && !unknown)
      .map(({ name }) => argumentOf(name)),
  );
  if (shrinks(olds, news) && mayLoseDisk(news)) replaces.add("storageGiB");
  const { adopt } = news;
  if (typeof adopt === "string" && !isUnknown(adopt) && !sameMachine(adopt, id)) replaces.add("adopt");
  const changes =
    changed.length > 0 ||
    replaces.size > 0 ||
    // A delete goes by the timeouts in the state.
    !sameValue(olds.timeouts, news.timeouts) ||
    // A machine that failed is looked after by the next update, whatever the program says.
    olds.phase === "failed";
  return { changes, replaces: [...replaces], changed };
}

const shrinks = (olds: Record<string, unknown>, news: Record<string, unknown>): boolean =>
  typeof olds.storageGiB === "number" &&
  typeof news.storageGiB === "number" &&
  news.storageGiB < olds.storageGiB;

/** What could keep the disk, where that is possible. */
function keepHint({ changed }: MachineDiff, news: Record<string, unknown>): string {
  const brought = ["template", "env", "cwd", "from", "storageGiB"];
  const cannot = news.from !== undefined || changed.some(({ name }) => brought.includes(name));
  return cannot ? "" : '; beforeReplace: "snapshot" would keep what is on it';
}

/** What a preview says of a machine that is replaced or restarted; nothing where nothing is lost. */
export function warningsOf(name: string, diff: MachineDiff, news: Record<string, unknown>): string[] {
  if (diff.replaces.length > 0) {
    const why = diff.replaces.join(", ");
    return news.beforeReplace === "snapshot"
      ? [
          `machine "${name}" is replaced (${why}); the new one starts from a snapshot of its disk, its processes end`,
        ]
      : [`machine "${name}" is replaced (${why}) and ITS DISK IS LOST${keepHint(diff, news)}`];
  }
  const restarts = diff.changed.filter(({ effect, unknown }) => effect === "restart" && !unknown);
  return restarts.length > 0
    ? [
        `machine "${name}" is restarted (${restarts.map((change) => change.name).join(", ")}): its processes end`,
      ]
    : [];
}
