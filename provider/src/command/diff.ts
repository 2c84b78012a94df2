/** What a change in the program means for a command. Pure. */
import { isUnknown } from "../hidden";
import type { ResourceDiff } from "../shell";
import { changeEffects } from "./args";
import { changedArguments } from "./changes";

type Properties = Record<string, unknown>;

export function diffCommand(olds: Properties, news: Properties): ResourceDiff {
  const changed = changedArguments(olds, news);
  const replaces = changed.filter((name) => changeEffects[name] === "replace" && !isUnknown(news[name]));
  return { changes: changed.length > 0, replaces };
}

/** True when the change has to be carried out in the machine. */
export const mustRun = (olds: Properties, news: Properties): boolean =>
  changedArguments(olds, news).some((name) => changeEffects[name] === "run");
