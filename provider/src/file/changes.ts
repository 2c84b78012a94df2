/** Which arguments of a file differ. Pure. */
import { isDeepStrictEqual } from "node:util";
import { isUnknown } from "../hidden";
import { changeEffects, type FileInputs } from "./args";

type Properties = Record<string, unknown>;

export const changedArguments = (olds: Properties, news: Properties): (keyof FileInputs)[] =>
  (Object.keys(changeEffects) as (keyof FileInputs)[]).filter((name) => {
    // The content stays out of the outputs: its hash stands for it.
    const compared = name === "content" ? "hash" : name;
    return (
      isUnknown(news[name]) ||
      isUnknown(news[compared]) ||
      !isDeepStrictEqual(olds[compared] ?? undefined, news[compared] ?? undefined)
    );
  });
