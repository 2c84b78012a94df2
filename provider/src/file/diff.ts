/** What a change in the program means for a file. Pure. */
import { isUnknown } from "../hidden";
import type { ResourceDiff } from "../shell";
import { changeEffects } from "./args";
import { changedArguments } from "./changes";

type Properties = Record<string, unknown>;

export function diffFile(olds: Properties, news: Properties): ResourceDiff {
  const changed = changedArguments(olds, news);
  const replaces = changed.filter((name) => changeEffects[name] === "replace" && !isUnknown(news[name]));
  // A file that moves within its machine, or a new one where the old one is: the old one goes first.
  return { changes: changed.length > 0, replaces, deleteBeforeReplace: replaces.length > 0 };
}

export const mustWrite = (olds: Properties, news: Properties): boolean =>
  changedArguments(olds, news).some((name) => changeEffects[name] === "write");
