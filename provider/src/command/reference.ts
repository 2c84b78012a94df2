/** The reference of the Command resource, from its schema. */
import { referenceOf, type ReferenceEntry } from "../reference";
import { changeText, commandArgs } from "./args";
import { outputDescriptions, outputTypes } from "./state";

export const commandReference = (): ReferenceEntry[] =>
  referenceOf(
    {
      args: commandArgs,
      outputs: outputDescriptions,
      outputTypes,
      argumentTypes: { triggers: "unknown[]" },
      changeText,
    },
    "A name of its own; it says nothing.",
  );
