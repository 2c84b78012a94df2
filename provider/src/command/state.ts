/** What the stack's state holds of a command: its arguments, and how it last went. Pure. */
import type { CommandOutcome } from "../controlplane/command-port";

export const outputDescriptions = {
  stdout: "What the last run wrote to its standard output, without the last line break; the newest 256 KiB.",
  stderr: "The same of its standard error.",
  exitCode: "Of the last run: always 0 in a stack, since anything else fails the deploy.",
  durationMs: "How long the last run took, in milliseconds.",
  complete: "False when some of the output is missing.",
  missing: "What of the output is missing, where some is.",
} as const;

export const outputTypes = { exitCode: "number", durationMs: "number", complete: "boolean" } as const;

/**
 * Given as inputs, too, where a secret may be in the output: a property that is a secret among the inputs is one among the
 * outputs. Their values say nothing.
 */
export const secretMarks: readonly string[] = ["stdout", "stderr"];

/** Of one stream, in characters. */
const kept = 256 * 1024;

export interface Kept {
  text: string;
  /** Characters at the start that were left out. */
  cut: number;
}

export function keep(text: string): Kept {
  const trimmed = text.replace(/\r?\n$/, "");
  return trimmed.length <= kept
    ? { text: trimmed, cut: 0 }
    : { text: trimmed.slice(-kept), cut: trimmed.length - kept };
}

export function stateOf(news: Record<string, unknown>, outcome: CommandOutcome): Record<string, unknown> {
  const stdout = keep(outcome.stdout);
  const stderr = keep(outcome.stderr);
  const missing = [
    ...(outcome.missing === undefined ? [] : [outcome.missing]),
    ...(stdout.cut > 0 ? [`the first ${String(stdout.cut)} characters of stdout`] : []),
    ...(stderr.cut > 0 ? [`the first ${String(stderr.cut)} characters of stderr`] : []),
  ].join(", ");
  return {
    ...news,
    stdout: stdout.text,
    stderr: stderr.text,
    exitCode: outcome.exitCode,
    durationMs: outcome.durationMs,
    complete: missing === "",
    ...(missing === "" ? {} : { missing }),
  };
}
