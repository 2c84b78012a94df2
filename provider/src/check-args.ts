/** Checks a program's arguments against a resource's schema. Pure; values that are not known yet pass. */
import type { z } from "zod";
import type { Backend } from "./controlplane/capabilities";
import { isHidden, isUnknown } from "./hidden";

export interface CheckFailure {
  /** Always a top-level name: Pulumi shows its value next to the reason. Never that of a secret. */
  property: string;
  reason: string;
}

export interface Checked {
  inputs: Record<string, unknown>;
  failures: CheckFailure[];
}

/** What a check may know besides the arguments. */
export interface CheckWorld {
  /** Undefined where the setting is wrong: the operation itself will say so. */
  backend: Backend | undefined;
}

export interface CheckOptions {
  /** "a Snapshot", for messages. */
  noun: string;
  /** Arguments that are recorded only where the program gave them, though they have a default. */
  unrecorded?: readonly string[];
}

/** Every argument on its own: rules between several are the resource's. */
export function checkArgs(
  schema: z.ZodObject,
  news: Record<string, unknown>,
  { noun, unrecorded = [] }: CheckOptions,
): Checked {
  const names = Object.keys(schema.shape);
  const inputs: Record<string, unknown> = {};
  const failures: CheckFailure[] = [];
  for (const [name, value] of Object.entries(news)) {
    if (isHidden(name)) inputs[name] = value;
    else if (!names.includes(name)) failures.push(notAnArgument(name, noun, names));
  }
  for (const name of names) {
    const given = news[name] ?? undefined;
    if (isUnknown(given)) {
      inputs[name] = given;
      continue;
    }
    if (given === undefined && unrecorded.includes(name)) continue;
    const checked = checkOne(schema, name, given);
    failures.push(...checked.failures);
    if (checked.value !== undefined) inputs[name] = checked.value;
  }
  return { inputs, failures };
}

export const notAnArgument = (name: string, noun: string, names: readonly string[]): CheckFailure => ({
  property: name,
  reason: `is no argument of ${noun}; known are ${names.join(", ")}`,
});

/** One argument: its value with defaults, or what is wrong with it. */
export function checkOne(
  schema: z.ZodObject,
  name: string,
  value: unknown,
): { value?: unknown; failures: CheckFailure[] } {
  const parsed = (schema.shape[name] as z.ZodType).safeParse(value);
  if (parsed.success) return { value: parsed.data, failures: [] };
  return {
    failures: parsed.error.issues.map((issue) => ({ property: name, reason: reasonOf(name, issue) })),
  };
}

function reasonOf(name: string, issue: z.core.$ZodIssue): string {
  if (issue.code === "unrecognized_keys") return `has no ${issue.keys.join(", ")}`;
  const path = issue.path.length > 0 ? `${[name, ...issue.path.map(String)].join(".")} ` : "";
  return `${path}${issue.message}`;
}

/** The words of a refusal: what the backend cannot do, named with the property. */
export const notThere = (property: string, backend: Backend, why: string): CheckFailure => ({
  property,
  reason: `the backend "${backend}" ${why}`,
});
