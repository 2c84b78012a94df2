/** What a change in the program means for a webhook: a change in place, unless it is to be another one. Pure. */
import type { ResourceDiff } from "../shell";
import { isUnknown } from "../hidden";
import { changedArguments, changeEffects } from "./changes";

/**
 * @param olds The outputs in the state: what a refresh found of the service is in them.
 * @param news The checked inputs.
 */
export function diffWebhook(olds: Record<string, unknown>, news: Record<string, unknown>): ResourceDiff {
  const changed = changedArguments(olds, news);
  const replaces = changed.filter((name) => changeEffects[name] === "replace" && !isUnknown(news[name]));
  return { changes: changed.length > 0, replaces };
}
