/** The arguments of the functions: the one source of their checks and of their types. */
import { phases } from "@pulumi-machines/sdk/dedalus/rules";
import { lifecycleOperations, lifecycleStatuses } from "@pulumi-machines/sdk/nullspace/rules";
import { z } from "zod";

const oneOf = <const Names extends readonly string[]>(names: Names) =>
  z.enum(names, { error: `must be one of ${names.join(", ")}` });

const limit = z.int().min(1, { error: "must be a whole number of at least 1" }).optional();
const id = (what: string) =>
  z.string({ error: `must be the id of a ${what}` }).min(1, { error: `must be the id of a ${what}` });
const time = z.iso.datetime({
  offset: true,
  error: "must be a time in ISO 8601, such as 2026-01-31T12:00:00Z",
});

export const getMachineArgs = z.strictObject({
  id: id("machine").describe("The machine's id."),
});

export const listMachinesArgs = z.strictObject({
  phases: z
    .array(oneOf(phases), { error: "must be a list of phases" })
    .optional()
    .describe("Only machines in one of these phases; default all but destroyed."),
  template: z.string().optional().describe("Only machines that were made from this template."),
  metadata: z
    .record(z.string(), z.json(), { error: "must be names and values" })
    .optional()
    .describe("Only machines that have all these pairs."),
  tags: z
    .record(z.string(), z.string(), { error: "must be names and texts" })
    .optional()
    .describe(
      "Only machines that have all these tags of a stack: `pulumi:project`, `pulumi:stack`, `pulumi:resource`.",
    ),
  limit: limit.describe("How many at most; default all."),
});

/** Events in one answer, when nothing is said. */
export const defaultEvents = 100;

export const listLifecycleEventsArgs = z.strictObject({
  machineId: id("machine")
    .optional()
    .describe("Only those of this machine, also where it is the source or the target."),
  snapshotId: id("snapshot").optional().describe("Only those of this snapshot."),
  operation: oneOf(lifecycleOperations).optional().describe("Only those of this operation."),
  status: oneOf(lifecycleStatuses)
    .optional()
    .describe("Only those that were requested, succeeded or failed."),
  from: time.optional().describe("Only those that happened then or later (ISO 8601)."),
  to: time.optional().describe("Only those that happened before then (ISO 8601)."),
  order: oneOf(["asc", "desc"]).default("desc").describe("By time; the newest first when nothing is said."),
  limit: limit.default(defaultEvents).describe("How many at most."),
});
