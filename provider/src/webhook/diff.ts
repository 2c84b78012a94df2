/** What a change in the program means for a webhook: never a replacement. Pure. */
import type { ResourceDiff } from "../shell";
import { changedArguments } from "./changes";

/**
 * @param olds The outputs in the state: what a refresh found of the service is in them.
 * @param news The checked inputs.
 */
export const diffWebhook = (olds: Record<string, unknown>, news: Record<string, unknown>): ResourceDiff => ({
  changes: changedArguments(olds, news).length > 0,
  replaces: [],
});
