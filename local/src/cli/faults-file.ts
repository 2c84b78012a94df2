/** Reads a fault script; says for each mistake which rule it is in and what is wrong with it. */
import { readFileSync } from "node:fs";
import { InvalidArgumentError } from "commander";
import type { z } from "zod";
import { type FaultScript, faultScript } from "../faults";

const maxTold = 10;

export function faultsFile(path: string): FaultScript {
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw new InvalidArgumentError(`The fault script cannot be read: ${(error as Error).message}`);
  }
  const script = faultScript.safeParse(content);
  if (script.success) return script.data;
  const { issues } = script.error;
  const lines = issues.slice(0, maxTold).map((issue) => `  ${describe(issue, content)}`);
  if (issues.length > maxTold) lines.push(`  and ${String(issues.length - maxTold)} more`);
  throw new InvalidArgumentError(`The fault script is wrong (docs/faults.md):\n${lines.join("\n")}`);
}

/** `rule 2 (on: start): fail.lastError: expected string, received undefined` */
function describe(issue: z.core.$ZodIssue, script: unknown): string {
  const [list, index, ...rest] = issue.path;
  const inRule = list === "rules" && typeof index === "number";
  const where = (inRule ? rest : issue.path).join(".");
  const what =
    issue.code === "unrecognized_keys"
      ? `unknown: ${issue.keys.join(", ")}`
      : issue.code === "invalid_union"
        ? `use one of ${ruleNames().join(", ")}`
        : issue.message.replace(/^Invalid (input|option): /, "");
  const said = where === "" ? what : `${where}: ${what}`;
  return inRule ? `rule ${String(index + 1)}${onOf(script, index)}: ${said}` : said;
}

function onOf(script: unknown, index: number): string {
  const rule = (script as { rules: unknown[] }).rules[index];
  return typeof rule === "object" && rule !== null && "on" in rule ? ` (on: ${String(rule.on)})` : "";
}

const ruleNames = (): string[] =>
  faultScript.shape.rules.element.options.flatMap(({ shape: { on } }): string[] =>
    "values" in on ? [...on.values] : on.options,
  );
