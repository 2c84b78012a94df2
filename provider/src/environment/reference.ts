/** The reference of the Environment component, from its schema. */
import { referenceOf, type ReferenceEntry } from "../reference";
import { environmentArgs } from "./args";

const outputDescriptions = {
  goldenSnapshotId: "Id of the snapshot that the replicas are made from.",
  baseMachineId: "Id of the machine that the snapshot is of.",
  replicas: "Ids of the replicas.",
} as const;

const changes: Record<string, string> = {
  snapshot: "`metadata`: a new snapshot and new replicas; `timeouts`: nothing",
  replicas: "makes or destroys the difference",
  replica: "as of a Machine, for each replica",
};
const anew = "all is built anew, then the old goes";

/** A component has no id. */
export const environmentReference = (): ReferenceEntry[] =>
  referenceOf(
    {
      args: environmentArgs,
      outputs: outputDescriptions,
      outputTypes: { replicas: "string[]" },
      argumentTypes: {
        machine: "MachineArgs",
        files: "Record<string, string | Asset | Archive | FileArgs>",
        setup: "(string | string[] | CommandArgs)[]",
        snapshot: "{ metadata?: Record<string, unknown>; timeouts?: object }",
        replica: "MachineArgs",
        triggers: "unknown[]",
      },
      changeText: (argument) => changes[argument] ?? anew,
    },
    "",
  ).filter(({ name }) => name !== "id");
