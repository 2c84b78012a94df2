/** The reference of the Snapshot resource, from its schema. */
import { referenceOf, type ReferenceEntry } from "../reference";
import { snapshotArgs } from "./args";
import { changeText } from "./changes";
import { outputDescriptions } from "./state";

export const snapshotReference = (): ReferenceEntry[] =>
  referenceOf(
    {
      args: snapshotArgs,
      outputs: outputDescriptions,
      outputTypes: { sizeBytes: "number" },
      argumentTypes: { metadata: "Record<string, unknown>", triggers: "unknown[]" },
      changeText,
    },
    "The snapshot's id at the service.",
  );
