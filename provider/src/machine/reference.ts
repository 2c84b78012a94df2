/** The reference of the Machine resource, from its schema. */
import { referenceOf, type ReferenceEntry } from "../reference";
import { machineArgs } from "./args";
import { changeText } from "./changes";
import { outputDescriptions } from "./state";

export const machineReference = (): ReferenceEntry[] =>
  referenceOf(
    {
      args: machineArgs,
      outputs: outputDescriptions,
      outputTypes: { retryable: "boolean", autosleepSeconds: "number", schemaVersion: "number" },
      argumentTypes: { metadata: "Record<string, unknown>", triggers: "unknown[]" },
      changeText,
    },
    "The machine's id at the service.",
  );
