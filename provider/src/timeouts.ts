/** The argument `timeouts` of every resource, which stands in for `customTimeouts`: Pulumi does not pass that one on. */
import { formatDuration, parseDuration } from "@pulumi-machines/sdk/duration";
import { z } from "zod";

export type Operation = "create" | "update" | "delete";

const maxTimeoutSeconds = 2 * 3_600;

/** A duration such as "10m" that parses; the message is the parser's own. */
export function secondsOf(text: string, issues: z.RefinementCtx): number | undefined {
  try {
    return parseDuration(text);
  } catch (error) {
    issues.addIssue({ code: "custom", message: (error as Error).message });
    return undefined;
  }
}

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

/** How long an operation may take, as durations such as "10m"; at most 2h. */
export const timeoutsOf = (defaults: Record<Operation, string>) =>
  z
    .strictObject({
      create: timeout(defaults.create),
      update: timeout(defaults.update),
      delete: timeout(defaults.delete),
    })
    .default(defaults)
    .describe(
      "How long `create`, `update` and `delete` may take, as durations up to 2h. Use this and not the option `customTimeouts`, " +
        "which Pulumi does not pass on to dynamic providers. Ctrl-C waits for a running operation.",
    );

/** How long an operation on these properties may take, in milliseconds. */
export function allowedMsOf(
  schema: ReturnType<typeof timeoutsOf>,
  properties: Record<string, unknown>,
  operation: Operation,
): number {
  // Only this argument: what else a state holds may have been written by the service, and must not stop a delete.
  const given = schema.safeParse(properties.timeouts);
  const timeouts = given.success ? given.data : schema.parse(undefined);
  return parseDuration(timeouts[operation]) * 1_000;
}
