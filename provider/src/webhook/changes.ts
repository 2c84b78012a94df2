/** What a change of each argument does: all of it in place. Pure. */
import { isDeepStrictEqual } from "node:util";
import { isUnknown } from "../hidden";
import type { WebhookInputs } from "./args";
import { isSameUrl } from "./url";

type Properties = Record<string, unknown>;

/** "none": it only says how operations are done. */
export const changeEffects = {
  url: "update",
  operations: "update",
  secret: "update",
  enabled: "update",
  adopt: "replace",
  timeouts: "none",
} as const satisfies Record<keyof WebhookInputs, "update" | "replace" | "none">;

export type ArgumentName = keyof typeof changeEffects;

/** The arguments that differ; one that is not known yet does. */
export const changedArguments = (olds: Properties, news: Properties): ArgumentName[] =>
  (Object.keys(changeEffects) as ArgumentName[]).filter(
    (name) =>
      // Of the create only: taken out of the program, or put into it, it is no change.
      (name !== "adopt" || (olds.adopt !== undefined && news.adopt !== undefined)) &&
      (isUnknown(news[name]) || !isSame(name, olds[name] ?? undefined, news[name] ?? undefined)),
  );

export function isSame(name: ArgumentName, one: unknown, other: unknown): boolean {
  if (name === "url" && typeof one === "string" && typeof other === "string") return isSameUrl(one, other);
  if (name === "operations") return isDeepStrictEqual(inOrder(one), inOrder(other));
  return isDeepStrictEqual(one, other);
}

/** Each operation once, in one order. */
export const inOrder = (operations: unknown): unknown =>
  Array.isArray(operations) ? [...new Set(operations.map(String))].sort() : operations;

/** What a change of an argument does, in the words of the reference. */
export const changeText = (argument: string): string =>
  argument === "adopt"
    ? "another id: takes that one over"
    : changeEffects[argument as ArgumentName] === "update"
      ? "changed in place"
      : "no change to the webhook";
