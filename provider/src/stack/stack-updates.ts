/** The stack's own operations, as `pulumi stack history --json` prints them. Pure. */
import { z } from "zod";

export interface StackUpdate {
  /** "pulumi up", "pulumi destroy", ... */
  command: string;
  /** ISO 8601. */
  startedAt: string;
  /** Undefined while it runs. */
  endedAt?: string;
  /** "succeeded", "failed", "in-progress". */
  result: string;
  /** By operation: { create: 4 }. */
  changes: Record<string, number>;
}

const updateSchema = z.looseObject({
  kind: z.string(),
  startTime: z.string(),
  endTime: z.string().optional(),
  result: z.string(),
  resourceChanges: z.record(z.string(), z.number()).nullish(),
});

const commands: Record<string, string> = { update: "pulumi up", "resource-import": "pulumi import" };

/** Oldest first. What cannot be read is left out: an update less in a timeline is no reason to say nothing. */
export function readUpdates(text: string): StackUpdate[] {
  return listIn(text)
    .flatMap((item) => {
      const parsed = updateSchema.safeParse(item);
      return parsed.success ? [updateOf(parsed.data)] : [];
    })
    .sort((one, other) => one.startedAt.localeCompare(other.startedAt));
}

function listIn(text: string): unknown[] {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? value : [];
  } catch {
    return []; // A stack that was never updated prints no JSON.
  }
}

function updateOf({ kind, startTime, endTime, result, resourceChanges }: z.infer<typeof updateSchema>) {
  const update: StackUpdate = {
    command: commands[kind] ?? `pulumi ${kind}`,
    startedAt: startTime,
    result,
    changes: resourceChanges ?? {},
  };
  if (endTime !== undefined && result !== "in-progress") update.endedAt = endTime;
  return update;
}

/** The history has whole seconds, and its clock is this computer's, not the service's. */
const slackMs = 2_000;

/** The update during which something happened, the newest of several; undefined when none ran. */
export function updateAt(updates: readonly StackUpdate[], at: string): StackUpdate | undefined {
  const during = (slack: number) =>
    updates.findLast(
      ({ startedAt, endedAt }) =>
        Date.parse(at) >= Date.parse(startedAt) - slack &&
        (endedAt === undefined || Date.parse(at) <= Date.parse(endedAt) + slack),
    );
  // One that surely ran goes before one that may have, where two followed each other closely.
  return during(0) ?? during(slackMs);
}
