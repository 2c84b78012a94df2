/** What a change in the program means for a snapshot: it never changes, another one is taken. Pure. */
import { isDeepStrictEqual } from "node:util";
import { isUnknown } from "../hidden";
import type { ResourceDiff } from "../shell";

type Properties = Record<string, unknown>;

const replacing = ["machineId", "triggers", "metadata"] as const;

/**
 * @param olds The outputs in the state.
 * @param news The checked inputs; a value that is not known yet counts as changed and never replaces, else every edit of a
 *   machine would preview another snapshot of it. The replacement may still happen when the value is known.
 */
export function diffSnapshot(olds: Properties, news: Properties): ResourceDiff {
  const differs = (name: string): boolean =>
    isUnknown(news[name]) || !isDeepStrictEqual(olds[name] ?? undefined, news[name] ?? undefined);
  const changed = replacing.filter(differs);
  const replaces = changed.filter((name) => !isUnknown(news[name]));
  // How long a delete may take is read from the state: a change has to get there.
  return { changes: changed.length > 0 || differs("timeouts"), replaces };
}

/** What a change of an argument does, in the words of the reference. */
export const changeText = (argument: string): string =>
  (replacing as readonly string[]).includes(argument) ? "takes a new one" : "no change to the snapshot";
