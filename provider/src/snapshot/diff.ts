/** What a change in the program means for a snapshot. Pure. */
import type { ResourceDiff } from "../shell";
import { changesBetween } from "./changes";

/**
 * @param olds The outputs in the state.
 * @param news The checked inputs; a value that is not known yet counts as changed and never replaces, else every edit of a
 *   machine would preview another snapshot of it. The replacement may still happen when the value is known.
 */
export function diffSnapshot(olds: Record<string, unknown>, news: Record<string, unknown>): ResourceDiff {
  const changed = changesBetween(olds, news);
  const replaces = changed.filter(({ effect, unknown }) => effect === "replace" && !unknown);
  return { changes: changed.length > 0, replaces: replaces.map(({ name }) => name) };
}
