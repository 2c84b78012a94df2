/** What a change of each argument does to the snapshot: it never changes, another one is taken. Pure. */
import { isDeepStrictEqual } from "node:util";
import { isUnknown } from "../hidden";
import type { SnapshotInputs } from "./args";

type Properties = Record<string, unknown>;

/** "none": it only says how operations are done, and has to get into the state for the delete. */
export const changeEffects = {
  machineId: "replace",
  triggers: "replace",
  metadata: "replace",
  adopt: "replace",
  timeouts: "none",
} as const satisfies Record<keyof SnapshotInputs, "replace" | "none">;

type ArgumentName = keyof typeof changeEffects;

export interface Change {
  name: ArgumentName;
  effect: "replace" | "none";
  /** True when the new value is not known yet. */
  unknown: boolean;
}

export const changesBetween = (olds: Properties, news: Properties): Change[] =>
  (Object.keys(changeEffects) as ArgumentName[])
    .map((name) => ({ name, effect: changeEffects[name], unknown: isUnknown(news[name]) }))
    // Of the create only: taken out of the program, or put into it, it is no change.
    .filter(({ name }) => name !== "adopt" || (olds.adopt !== undefined && news.adopt !== undefined))
    .filter(
      ({ name, unknown }) => unknown || !isDeepStrictEqual(olds[name] ?? undefined, news[name] ?? undefined),
    );

/** What a change of an argument does, in the words of the reference. */
export const changeText = (argument: string): string =>
  argument === "adopt"
    ? "another id: takes that one over"
    : changeEffects[argument as ArgumentName] === "replace"
      ? "takes a new snapshot"
      : "no change to the snapshot";
