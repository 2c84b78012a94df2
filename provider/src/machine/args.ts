/**
 * The arguments of a Machine: the one source of the check, of the TypeScript types and of the reference in the README.
 */
import { formatDuration, parseDuration } from "@pulumi-machines/sdk/duration";
import { z } from "zod";

/** How a change of an argument is carried out. */
export type ChangeBehaviour =
  "in place" | "in place; smaller is refused or replaces" | "no change to the machine";

const maxTimeoutSeconds = 2 * 3_600;

const timeout = (fallback: string) =>
  z
    .string()
    .superRefine((text, issues) => {
      const seconds = secondsOf(text, issues);
      if (seconds === undefined) return;
      if (seconds < 1 || seconds > maxTimeoutSeconds) {
        issues.addIssue({
          code: "custom",
          message: `must be from 1s to ${formatDuration(maxTimeoutSeconds)}, got "${text}"`,
        });
      }
    })
    .default(fallback);

function secondsOf(text: string, issues: z.RefinementCtx): number | undefined {
  try {
    return parseDuration(text);
  } catch (error) {
    issues.addIssue({ code: "custom", message: (error as Error).message });
    return undefined;
  }
}

const quarters = (value: number): boolean => Number.isInteger(value * 4);

export const machineArgs = z.strictObject({
  /** Virtual CPUs, in quarters. Default 1. */
  vcpu: z
    .number({ error: "must be a number of vCPUs such as 0.5 or 2" })
    .positive({ error: "must be more than 0" })
    .refine(quarters, { error: "must be in quarters, such as 0.25, 0.5 or 1" })
    .default(1)
    .describe("Virtual CPUs, in quarters."),
  /** Memory in MiB. Default 2048. */
  memoryMiB: z
    .int({ error: "must be a whole number of MiB such as 2048" })
    .positive({ error: "must be more than 0" })
    .default(2048)
    .describe("Memory in MiB."),
  /** Disk in GiB. Default 10. A disk grows in place and never shrinks; see `replaceOnStorageShrink`. */
  storageGiB: z
    .int({ error: "must be a whole number of GiB such as 10" })
    .positive({ error: "must be more than 0" })
    .default(10)
    .describe("Disk in GiB. It grows in place and never shrinks."),
  /**
   * How long without activity until the machine sleeps by itself: "30s", "15m", "7d3h4s", "1800" (seconds) or
   * "never". Without it, what the service does by default, and no change to what the machine has.
   */
  autosleep: z
    .string({ error: 'must be a text such as "15m" or "never"' })
    .superRefine((text, issues) => void secondsOf(text, issues))
    .optional()
    .describe(
      'How long without activity until the machine sleeps by itself: "30s", "15m", "7d3h4s", "1800" (seconds) or "never". ' +
        "Without it, what the service does by default.",
    ),
  /** Default "running". A machine that runs and falls asleep by its own autosleep still is what was asked for. */
  desiredState: z
    .enum(["running", "sleeping"], { error: 'must be "running" or "sleeping"' })
    .default("running")
    .describe(
      '"running" or "sleeping". A running machine that falls asleep by its own autosleep still is what was asked for.',
    ),
  /** What to do when the machine fails and the service calls the failure retryable. */
  failure: z
    .strictObject({
      /** How many retryable failures are answered by asking again, with a growing pause. Default 3, at most 20. */
      retries: z
        .int({ error: "must be a whole number" })
        .min(0, { error: "must be from 0 to 20" })
        .max(20, { error: "must be from 0 to 20" })
        .default(3),
    })
    .default({ retries: 3 })
    .describe(
      "`retries`: how many failures that the service calls retryable are answered by asking again, with a growing pause (at most 20).",
    ),
  /** How long an operation may take, as durations such as "10m"; at most 2h. Defaults: create 10m, update 10m, delete 5m. */
  timeouts: z
    .strictObject({ create: timeout("10m"), update: timeout("10m"), delete: timeout("5m") })
    .default({ create: "10m", update: "10m", delete: "5m" })
    .describe(
      "How long `create`, `update` and `delete` may take, as durations up to 2h. Use this and not the option `customTimeouts`, " +
        "which Pulumi does not pass on to dynamic providers. Ctrl-C waits for a running operation.",
    ),
  /** True allows a smaller `storageGiB`: the machine is replaced and its disk is lost. Default false. */
  replaceOnStorageShrink: z
    .boolean({ error: "must be true or false" })
    .default(false)
    .describe("Allows a smaller `storageGiB`: the machine is replaced and its disk is lost."),
});

/** The arguments after the check: defaults filled in. */
export type MachineInputs = z.output<typeof machineArgs>;

export const argumentNames = Object.keys(machineArgs.shape) as (keyof MachineInputs)[];

/** Arguments whose default may change in a later version: a machine keeps the default that it was made with. */
export const keptDefaults = [
  "vcpu",
  "memoryMiB",
  "storageGiB",
] as const satisfies readonly (keyof MachineInputs)[];

export const changeBehaviours: Record<keyof MachineInputs, ChangeBehaviour> = {
  vcpu: "in place",
  memoryMiB: "in place",
  storageGiB: "in place; smaller is refused or replaces",
  autosleep: "in place",
  desiredState: "in place",
  failure: "no change to the machine",
  timeouts: "no change to the machine",
  replaceOnStorageShrink: "no change to the machine",
};
