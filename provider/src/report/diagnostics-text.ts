/** The errors and warnings of a preview, in Markdown. Pure. */
import { partsOf } from "../controlplane/tags";
import { code, fenced, linesWithin, oneVisibleLine } from "./escape";
import type { Diagnostic } from "./preview";

const maxCharacters = 3_000;
const maxLineCharacters = 500;

/** Without the last words of a run, which only say that it failed. */
export function errorsOf(diagnostics: readonly Diagnostic[]): Diagnostic[] {
  const errors = diagnostics.filter(({ severity }) => severity === "error");
  const telling = errors.filter(
    ({ message }) => !/^(?:error: )?(?:preview|refresh) failed\s*$/.test(message),
  );
  return telling.length > 0 ? telling : errors;
}

/** The same words only once. */
export const errorBlocks = (diagnostics: readonly Diagnostic[]): string[] => [
  ...new Set(errorsOf(diagnostics).map(block)),
];

export const warningBlocks = (diagnostics: readonly Diagnostic[]): string[] => [
  ...new Set(diagnostics.filter(({ severity }) => severity === "warning").map(block)),
];

function block({ severity, message, urn }: Diagnostic): string {
  const lines = linesOf(message).map((line) => oneVisibleLine(line, maxLineCharacters));
  const shown = linesWithin(lines, maxCharacters);
  const where = urn === undefined ? "" : ` at ${code(partsOf(urn).name || urn)}`;
  return `${severity === "error" ? "❌ **Error**" : "⚠️ **Warning**"}${where}\n\n${fenced("text", shown)}`;
}

/** Without the places in the code of Node and of packages that a stack trace lists. */
function linesOf(message: string): string[] {
  return message
    .replace(/^(?:error|warning): /, "")
    .split(/\r?\n/)
    .filter((line) => !/^\s+at .*(?:node:internal|[\\/]node_modules[\\/])/.test(line))
    .filter((line, index, lines) => line.trim() !== "" || lines[index - 1]?.trim() !== "");
}
