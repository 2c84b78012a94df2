/** The arguments of a Command: the one source of the check, of the TypeScript types and of the generated reference. */
import { z } from "zod";
import { secondsOf, timeoutsOf } from "../timeouts";

export const timeouts = timeoutsOf({ create: "10m", update: "10m", delete: "10m" });

const line = z.union([z.string().min(1), z.array(z.string()).min(1)], {
  error: 'must be a command line, or a program and its arguments such as ["npm", "test"]',
});

export const commandArgs = z.strictObject({
  machineId: z
    .string()
    .min(1, { error: "must be the id of a machine" })
    .describe("The machine's id: `machine.id`."),
  create: line.describe(
    "Run when the resource is made. A text is a line for `/bin/sh`; a list is a program and its arguments, without a shell.",
  ),
  update: line
    .optional()
    .describe("Run when what the command is made of has changed; without it `create` runs again."),
  delete: line.optional().describe("Run when the resource is deleted or replaced; without it nothing runs."),
  environment: z
    .record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, { error: "is no name of a variable" }), z.string(), {
      error: "must be names and texts",
    })
    .optional()
    .describe(
      "Variables. `update` and `delete` also find the earlier output in `PULUMI_COMMAND_STDOUT` and `PULUMI_COMMAND_STDERR`.",
    ),
  stdin: z.string().optional().describe("What the command reads from its standard input."),
  cwd: z.string().min(1).optional().describe("The folder that it starts in; default the machine's."),
  timeout: z
    .string()
    .superRefine((text, issues) => {
      const seconds = secondsOf(text, issues);
      if (seconds !== undefined && seconds < 1)
        issues.addIssue({ code: "custom", message: "must be at least 1s" });
    })
    .optional()
    .describe("How long one command may take, as a duration; default as long as the operation (`timeouts`)."),
  triggers: z
    .array(z.unknown())
    .optional()
    .describe(
      "Values of any kind; when one of them changes, `delete` and then `create` run anew, as a replacement.",
    ),
  logging: z
    .enum(["stdoutAndStderr", "stdout", "stderr", "none"], {
      error: 'must be "stdoutAndStderr", "stdout", "stderr" or "none"',
    })
    .default("stdoutAndStderr")
    .describe("Which output is shown on the terminal while it comes."),
  timeouts,
});

/** The arguments after the check. */
export type CommandInputs = z.output<typeof commandArgs>;

/** What a change of each argument does. */
export const changeEffects = {
  machineId: "replace",
  create: "run",
  update: "run",
  delete: "none",
  environment: "run",
  stdin: "run",
  cwd: "run",
  timeout: "none",
  triggers: "replace",
  logging: "none",
  timeouts: "none",
} as const satisfies Record<keyof CommandInputs, "replace" | "run" | "none">;

const words = {
  replace: "replaces: `delete`, then `create`",
  run: "runs `update`, else `create`",
  none: "runs nothing",
} as const;

/** What a change of an argument does, in the words of the reference. */
export const changeText = (argument: string): string => words[changeEffects[argument as keyof CommandInputs]];
