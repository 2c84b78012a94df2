/** The errors and warnings of a preview, in Markdown. Pure. */
import { partsOf } from "../controlplane/tags";
import { code, fenced, linesWithin, oneVisibleLine } from "./escape";
import type { Diagnostic } from "./preview";

const maxCharacters = 3_000;
const maxLineCharacters = 500;
const maxPlaces = 5;

/** Without the last words of a run, which only say that it failed; the same words of several resources as one. */
export function errorBlocks(diagnostics: readonly Diagnostic[]): string[] {
  return grouped(errorsOf(diagnostics)).map((group) => block("❌ **Error**", group));
}

export function warningBlocks(diagnostics: readonly Diagnostic[]): string[] {
  const warnings = diagnostics.filter(({ severity }) => severity === "warning");
  return grouped(warnings).map((group) => block("⚠️ **Warning**", group));
}

export const errorCount = (diagnostics: readonly Diagnostic[]): number =>
  grouped(errorsOf(diagnostics)).length;

function errorsOf(diagnostics: readonly Diagnostic[]): Diagnostic[] {
  const errors = diagnostics.filter(({ severity }) => severity === "error");
  const telling = errors.filter(({ message }) => !/^(?:error: )?(?:preview|refresh) failed$/.test(message));
  return telling.length > 0 ? telling : errors;
}

interface Group {
  message: string;
  /** Names of resources. */
  places: string[];
}

function grouped(diagnostics: readonly Diagnostic[]): Group[] {
  const groups = new Map<string, Set<string>>();
  for (const { message, urn } of diagnostics) {
    const places = groups.get(message) ?? new Set();
    groups.set(message, places);
    if (urn !== undefined) places.add(partsOf(urn).name || urn);
  }
  return [...groups].map(([message, places]) => ({ message, places: [...places] }));
}

function block(title: string, { message, places }: Group): string {
  const lines = linesOf(message).map((line) => oneVisibleLine(line, maxLineCharacters));
  const named = places.slice(0, maxPlaces).map(code).join(", ");
  const more = places.length > maxPlaces ? ` and ${String(places.length - maxPlaces)} more` : "";
  const where = places.length === 0 ? "" : ` at ${named}${more}`;
  return `${title}${where}\n\n${fenced("text", linesWithin(lines, maxCharacters))}`;
}

/** Without the places in the code of Node and of packages that a stack trace lists. */
function linesOf(message: string): string[] {
  return message
    .replace(/^(?:error|warning): /, "")
    .split(/\r?\n/)
    .filter((line) => !/^\s+at .*(?:node:internal|[\\/]node_modules[\\/])/.test(line))
    .filter((line, index, lines) => line.trim() !== "" || lines[index - 1]?.trim() !== "");
}
