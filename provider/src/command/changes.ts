/** Which arguments of a command differ. Pure. */
import { isDeepStrictEqual } from "node:util";
import { isUnknown } from "../hidden";
import { changeEffects, type CommandInputs } from "./args";

type Properties = Record<string, unknown>;

export const changedArguments = (olds: Properties, news: Properties): (keyof CommandInputs)[] =>
  (Object.keys(changeEffects) as (keyof CommandInputs)[]).filter(
    (name) => isUnknown(news[name]) || !isDeepStrictEqual(olds[name] ?? undefined, news[name] ?? undefined),
  );
