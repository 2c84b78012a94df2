/** Values as a person reads them in a diff. Pure. */
import { unknownValue } from "../hidden";
import { oneVisibleLine } from "./escape";
import type { PropertyChange } from "./property-diff";

export const unknownText = "[known after apply]";

const maxValueCharacters = 300;
const maxPathCharacters = 120;
/** Texts that Pulumi or the mask put in the place of a value. */
const stands = /^\[(?:secret|known after apply|too deep|(?:asset|archive) [0-9a-z]+)\]$/;

/** As JSON has it, but for what stands in for a value. */
export function valueText(value: unknown): string {
  const shown = withoutUnknowns(value);
  const text = typeof shown === "string" && stands.test(shown) ? shown : JSON.stringify(shown);
  return oneVisibleLine(text ?? "", maxValueCharacters);
}

/** The same value with a readable text where it is not known: for JSON. */
export function withoutUnknowns(value: unknown): unknown {
  if (value === unknownValue) return unknownText;
  if (Array.isArray(value)) return value.map(withoutUnknowns);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, withoutUnknowns(member)]));
}

/** The lines of one change, as a block of the language `diff` has them. */
export function diffLines({ path, ...change }: PropertyChange, remark = ""): string[] {
  const name = /^[\w.-]+$/.test(path) ? path : JSON.stringify(path);
  const shown = oneVisibleLine(name, maxPathCharacters);
  const note = remark === "" ? "" : `  # ${remark}`;
  const lines: string[] = [];
  if ("before" in change)
    lines.push(`- ${shown}: ${valueText(change.before)}${"after" in change ? "" : note}`);
  if ("after" in change) lines.push(`+ ${shown}: ${valueText(change.after)}${note}`);
  return lines;
}
