/**
 * The autosleep grammar of the DCS contract, both ways: `30s` `15m` `2h` `7d3h4s` `1w3d`, plain seconds (`1800`),
 * and `never` (0). Pure.
 */

/** Largest value that the contract allows, in seconds (2^63 nanoseconds). */
export const maxDurationSeconds = 9_223_372_036;

const units = [
  ["w", 604_800],
  ["d", 86_400],
  ["h", 3_600],
  ["m", 60],
  ["s", 1],
] as const;

/** A duration that does not follow the grammar, or is out of range. */
export class DurationError extends Error {
  readonly code = "invalid_duration";
  override readonly name = "DurationError";
}

const grammar = /^(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$/;

/**
 * Seconds of a duration text; 0 for `never` and `0`. Each unit at most once, from weeks down to seconds.
 * @throws DurationError when the text does not follow the grammar or is over 9223372036 s.
 */
export function parseDuration(text: string): number {
  if (text === "never") return 0;
  const parts = /^\d+$/.test(text) ? [text] : text === "" ? undefined : grammar.exec(text)?.slice(1);
  if (!parts) {
    throw new DurationError(
      `"${text.slice(0, 40)}" is not a duration: write units from w, d, h, m, s in that order ("30s", "15m", "7d3h4s"), ` +
        `seconds ("1800") or "never"`,
    );
  }
  const seconds =
    parts.length === 1
      ? Number(parts[0])
      : units.reduce((sum, [, factor], at) => sum + Number(parts[at] ?? 0) * factor, 0);
  if (!(seconds <= maxDurationSeconds)) {
    throw new DurationError(`"${text.slice(0, 40)}" is longer than ${String(maxDurationSeconds)} seconds`);
  }
  return seconds;
}

/** The shortest text for a number of whole seconds, which `parseDuration` reads back: 5400 is `1h30m`, 0 is `never`. */
export function formatDuration(seconds: number): string {
  if (!Number.isSafeInteger(seconds) || seconds < 0 || seconds > maxDurationSeconds) {
    throw new DurationError(
      `${String(seconds)} is not a whole number of seconds from 0 to ${String(maxDurationSeconds)}`,
    );
  }
  if (seconds === 0) return "never";
  let rest = seconds;
  let text = "";
  for (const [unit, factor] of units) {
    const count = Math.floor(rest / factor);
    if (count > 0) text += `${String(count)}${unit}`;
    rest -= count * factor;
  }
  return text;
}
