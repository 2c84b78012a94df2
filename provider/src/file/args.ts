/** The arguments of a File: the one source of the check, of the TypeScript types and of the generated reference. */
import { z } from "zod";
import { timeoutsOf } from "../timeouts";

export const timeouts = timeoutsOf({ create: "10m", update: "10m", delete: "5m" });

/** What the program's content has become on its way here; see content.ts. */
export const sourceSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("text"), text: z.string() }),
  z.strictObject({ kind: z.literal("file"), path: z.string() }),
  z.strictObject({
    kind: z.literal("archive"),
    entries: z.array(
      z.union([
        z.strictObject({ name: z.string(), path: z.string() }),
        // Of a packed archive at this path.
        z.strictObject({ name: z.string(), path: z.string(), member: z.string() }),
        z.strictObject({ name: z.string(), text: z.string() }),
      ]),
    ),
  }),
]);
export type Source = z.output<typeof sourceSchema>;

export const fileArgs = z.strictObject({
  machineId: z
    .string()
    .min(1, { error: "must be the id of a machine" })
    .describe("The machine's id: `machine.id`."),
  path: z
    .string()
    .startsWith("/", { error: "must be an absolute path" })
    .refine((path) => !path.includes("\0") && !path.split("/").includes(".."), {
      error: 'must not hold ".." or a null character',
    })
    .describe("Where it is put in the machine; absolute. Folders above it are made."),
  content: sourceSchema.describe(
    "A text, an asset, or an archive, which becomes a folder. A remote asset is not fetched; a secret text stays one.",
  ),
  mode: z
    .string()
    .regex(/^0?[0-7]{3}$/, { error: 'must be permissions such as "0644"' })
    .optional()
    .describe(
      'Permissions such as `"0755"`; default those that the machine gives new files. Not of an archive.',
    ),
  triggers: z
    .array(z.unknown())
    .optional()
    .describe("Values of any kind; when one of them changes, it is written again."),
  timeouts,
});

export type FileInputs = z.output<typeof fileArgs>;

/** What a change of each argument does. The content is compared by its hash. */
export const changeEffects = {
  machineId: "replace",
  path: "replace",
  content: "write",
  mode: "write",
  triggers: "write",
  timeouts: "none",
} as const satisfies Record<keyof FileInputs, "replace" | "write" | "none">;

const words = { replace: "replaces", write: "written again", none: "no change to the file" } as const;

/** What a change of an argument does, in the words of the reference. */
export const changeText = (argument: string): string => words[changeEffects[argument as keyof FileInputs]];
