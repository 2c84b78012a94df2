/** What a change in the program means for a file. Pure. */
import { isUnknown } from "../hidden";
import type { ResourceDiff } from "../shell";
import { changeEffects } from "./args";
import { changedArguments } from "./changes";

type Properties = Record<string, unknown>;

export function diffFile(olds: Properties, news: Properties): ResourceDiff {
  const changed = changedArguments(olds, news);
  const replaces = changed.filter((name) => changeEffects[name] === "replace" && !isUnknown(news[name]));
  // Within one machine a new place may be below the old one, or above: the old file goes first. Another machine is
  // written to first, so that the old one is not woken for nothing when that fails.
  const deleteBeforeReplace = replaces.includes("path") && !replaces.includes("machineId");
  return { changes: changed.length > 0, replaces, deleteBeforeReplace };
}

export const mustWrite = (olds: Properties, news: Properties): boolean =>
  changedArguments(olds, news).some((name) => changeEffects[name] === "write");
