/** What a schema found wrong, as the violations of a 422 answer. */
import type { z } from "zod";
import type { Violation } from "./http-errors";

/** A value is repeated only where it is short and flat. */
const maxEchoLength = 200;

export function violation(location: string, message: string, value?: unknown): Violation {
  const echo =
    typeof value === "string"
      ? value.slice(0, maxEchoLength)
      : typeof value === "boolean" || value === null || Number.isFinite(value)
        ? (value as number | boolean | null)
        : undefined;
  return {
    location: location.slice(0, maxEchoLength),
    message,
    ...(echo === undefined ? {} : { value: echo }),
  };
}

export const violationsOf = (error: z.ZodError, input: unknown, root: string): Violation[] =>
  error.issues.flatMap((issue) => {
    const location = [root, ...issue.path.map(String)].join(".");
    if (issue.code === "unrecognized_keys") {
      return issue.keys.map((key) => violation(`${location}.${key}`, "unknown field"));
    }
    const value = valueAt(input, issue.path);
    const missing = issue.code === "invalid_type" && value === undefined;
    return [violation(location, missing ? "required" : issue.message, value)];
  });

const valueAt = (input: unknown, path: readonly PropertyKey[]): unknown =>
  path.reduce<unknown>(
    (value, step) => (value as Record<PropertyKey, unknown> | null | undefined)?.[step],
    input,
  );
