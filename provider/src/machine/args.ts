/**
 * The arguments of a Machine: the one source of the check, of the TypeScript types and of the generated reference. Rules
 * between several arguments, and what a backend cannot do, are in rules.ts; what a change does is in changes.ts.
 */
import { z } from "zod";
import { secondsOf, timeoutsOf } from "../timeouts";

const duration = (what: string) =>
  z
    .string({ error: `must be a text such as ${what}` })
    .superRefine((text, issues) => void secondsOf(text, issues));

const positiveDuration = (what: string) =>
  duration(what).refine((text) => !/^0+[a-z]*$/.test(text), { error: "must be more than 0" });

const quarters = (value: number): boolean => Number.isInteger(value * 4);

const cidrs = z.array(z.string().min(1)).min(1);
const limit = z.int({ error: "must be a whole number" }).positive({ error: "must be more than 0" });

export const timeouts = timeoutsOf({ create: "10m", update: "10m", delete: "5m" });

/** Where neither the program, nor a source, nor an adopted machine says a size. */
export const sizeDefaults = { vcpu: 1, memoryMiB: 2048, storageGiB: 10 } as const;

export const machineArgs = z.strictObject({
  /** Virtual CPUs, in quarters; whole ones on Nullspace. Default 1. */
  vcpu: z
    .number({ error: "must be a number of vCPUs such as 0.5 or 2" })
    .positive({ error: "must be more than 0" })
    .refine(quarters, { error: "must be in quarters, such as 0.25, 0.5 or 1" })
    .optional()
    .meta({ default: sizeDefaults.vcpu })
    .describe("Virtual CPUs, in quarters."),
  /** Memory in MiB. Default 2048. */
  memoryMiB: z
    .int({ error: "must be a whole number of MiB such as 2048" })
    .positive({ error: "must be more than 0" })
    .optional()
    .meta({ default: sizeDefaults.memoryMiB })
    .describe("Memory in MiB."),
  /** Disk in GiB. Default 10. A disk grows in place and never shrinks; see `replaceOnStorageShrink`. */
  storageGiB: z
    .int({ error: "must be a whole number of GiB such as 10" })
    .positive({ error: "must be more than 0" })
    .optional()
    .meta({ default: sizeDefaults.storageGiB })
    .describe("Disk in GiB. It never shrinks."),
  /**
   * How long without activity until the machine sleeps by itself: "30s", "15m", "7d3h4s", "1800" (seconds) or
   * "never". Without it, what the service does by default, and no change to what the machine has.
   */
  autosleep: duration('"15m" or "never"')
    .optional()
    .describe(
      'How long without activity until the machine sleeps by itself: "30s", "15m", "7d3h4s", "1800" (seconds) or "never". ' +
        "Without it, what the service does by default.",
    ),
  /**
   * Default "running". A machine that runs and falls asleep by its own rules still is what was asked for. "any": others
   * wake it and put it to sleep, and neither is drift.
   */
  desiredState: z
    .enum(["running", "sleeping", "any"], { error: 'must be "running", "sleeping" or "any"' })
    .default("running")
    .describe(
      '"running", "sleeping", or "any" for a machine that others wake and put to sleep. A running machine that falls asleep ' +
        "by its own rules still is what was asked for.",
    ),
  /** Name of an image; the service's default is "base". */
  template: z
    .string()
    .min(1, { error: "must not be empty" })
    .optional()
    .describe('Name of what the machine is made from; the service\'s default is "base".'),
  /** Made from a snapshot, or as a copy of a machine, instead of a template: `{ snapshot: id }` or `{ machine: id }`. */
  from: z
    .strictObject({ snapshot: z.string().min(1).optional(), machine: z.string().min(1).optional() })
    .refine(({ snapshot, machine }) => (snapshot === undefined) !== (machine === undefined), {
      error: "must name a snapshot or a machine: { snapshot: id } or { machine: id }",
    })
    .optional()
    .describe(
      "Makes the machine from a snapshot, `{ snapshot: id }`, or as a copy of a machine, `{ machine: id }`. Sizes that are not " +
        "given are those of the source.",
    ),
  /** Takes an existing machine over, by its id, instead of making one. May be removed afterwards. */
  adopt: z
    .string()
    .min(1, { error: "must be the id of a machine" })
    .optional()
    .describe(
      "Id of an existing machine that is taken over instead of making one. It can be removed from the program afterwards. " +
        "`pulumi destroy` destroys the machine, unless `retainOnDelete` is set.",
    ),
  /** Variables of every command in the machine. */
  env: z
    .record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, { error: "is no name of a variable" }), z.string(), {
      error: "must be names and texts",
    })
    .optional()
    .describe("Variables of every command in the machine. A secret stays one."),
  /** Absolute; where commands start. */
  cwd: z
    .string()
    .startsWith("/", { error: "must be an absolute path" })
    .optional()
    .describe("Folder where commands start; absolute."),
  /** The user's own pairs; lists select by them. Names that begin with "pulumi:" are the stack's. */
  metadata: z
    .record(z.string(), z.json())
    .optional()
    .describe(
      'Pairs of your own, by which lists select. Names that begin with "pulumi:" are kept for the project, stack and resource.',
    ),
  /** What ends a run by itself. */
  lifetime: z
    .strictObject({
      timeout: positiveDuration('"8h" or "never"').optional(),
      then: z.enum(["sleep", "destroy"], { error: 'must be "sleep" or "destroy"' }).optional(),
      inactivity: positiveDuration('"30m" or "never"').optional(),
      deleteAfterSleeping: positiveDuration('"7d" or "never"').optional(),
    })
    .optional()
    .describe(
      "What ends a run by itself: `timeout` after a start, `inactivity`, and what `then`; the default is to sleep, so that no disk " +
        "is lost. `deleteAfterSleeping` destroys a machine that slept for so long.",
    ),
  /** True: destroyed at its timeout, never put to sleep. */
  ephemeral: z.boolean().optional().describe("True: its limits destroy it and never put it to sleep."),
  /** True: a command, a file or a terminal wakes it. */
  autoResume: z.boolean().optional().describe("True: a command, a file or a terminal wakes it."),
  /** Policies for its network. */
  network: z
    .strictObject({
      egress: z
        .strictObject({
          mode: z.enum(["allow_all", "deny_all", "custom"], {
            error: 'must be "allow_all", "deny_all" or "custom"',
          }),
          allowCidrs: cidrs.optional(),
          denyCidrs: cidrs.optional(),
          rateLimit: z
            .strictObject({ kbitPerSec: limit.optional(), pps: limit.optional(), burst: limit.optional() })
            .optional(),
        })
        .optional(),
      allowPublicTraffic: z.boolean().optional(),
      maskRequestHost: z.string().min(1).optional(),
    })
    .optional()
    .describe("What may leave the machine (`egress`), and how its ports are reached."),
  /** Values of any kind; when one of them changes, the machine is replaced. */
  triggers: z
    .array(z.unknown())
    .optional()
    .describe("Values of any kind; when one of them changes, the machine is replaced."),
  /** "snapshot": a replacement starts from the old machine's disk. */
  beforeReplace: z
    .enum(["snapshot"], { error: 'must be "snapshot"' })
    .optional()
    .describe(
      '"snapshot": a replacement starts from a snapshot of the old disk, which is kept until the new machine runs.',
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
  timeouts,
  /** True allows a smaller `storageGiB`: the machine is replaced and its disk is lost. Default false. */
  replaceOnStorageShrink: z
    .boolean({ error: "must be true or false" })
    .default(false)
    .describe("Allows a smaller `storageGiB`: the machine is replaced and its disk is lost."),
});

/** The arguments after the check: defaults filled in. */
export type MachineInputs = z.output<typeof machineArgs>;

export const argumentNames = Object.keys(machineArgs.shape) as (keyof MachineInputs)[];

/** Sizes whose default may change in a later version: a machine keeps the default that it was made with. */
export const sizeNames = [
  "vcpu",
  "memoryMiB",
  "storageGiB",
] as const satisfies readonly (keyof MachineInputs)[];
