/** The arguments of a Snapshot: the one source of the check, of the TypeScript types and of the generated reference. */
import { z } from "zod";
import { timeoutsOf } from "../timeouts";

export const timeouts = timeoutsOf({ create: "10m", update: "5m", delete: "5m" });

export const snapshotArgs = z.strictObject({
  /** Id of the machine whose disk is kept: `machine.id`, and no other output that repeats it. */
  machineId: z
    .string({ error: "must be the id of a machine, such as machine.id" })
    .min(1, { error: "must be the id of a machine, such as machine.id" })
    .describe("Id of the machine whose disk is kept: `machine.id`."),
  /** Values of any kind; when one of them changes, a new snapshot is taken. */
  triggers: z
    .array(z.unknown(), { error: "must be a list of values" })
    .optional()
    .describe("Values of any kind; when one of them changes, a new snapshot is taken."),
  /** The user's own pairs; names that begin with "pulumi:" are the stack's. */
  metadata: z
    .record(z.string(), z.json())
    .optional()
    .describe(
      'Pairs of your own, kept with the snapshot. Names that begin with "pulumi:" are kept for the project, stack and resource.',
    ),
  /** Takes an existing snapshot over, by its id, instead of taking one. May be removed afterwards. */
  adopt: z
    .string()
    .min(1, { error: "must be the id of a snapshot" })
    .optional()
    .describe(
      "Id of an existing snapshot of this machine that is taken over instead of taking one. It can be removed from the program " +
        "afterwards.",
    ),
  /** How long an operation may take, as durations such as "10m"; at most 2h. Defaults: create 10m, update 5m, delete 5m. */
  timeouts,
});

/** The arguments after the check: defaults filled in. */
export type SnapshotInputs = z.output<typeof snapshotArgs>;
