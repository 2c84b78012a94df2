/** The reference of the File resource, from its schema. */
import { referenceOf, type ReferenceEntry } from "../reference";
import { changeText, fileArgs } from "./args";
import { outputDescriptions, outputTypes } from "./state";

export const fileReference = (): ReferenceEntry[] =>
  referenceOf(
    {
      args: fileArgs,
      outputs: outputDescriptions,
      outputTypes,
      argumentTypes: { content: "string | Asset | Archive", triggers: "unknown[]" },
      changeText,
    },
    "A name of its own; it says nothing.",
  );
