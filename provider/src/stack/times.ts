/** Times for people. Pure. */

const units = [
  ["day", 86_400_000],
  ["hour", 3_600_000],
  ["minute", 60_000],
  ["second", 1_000],
] as const;

/** "3 minutes ago", "just now". */
export function ago(at: string, nowMs: number): string {
  const ms = nowMs - Date.parse(at);
  const unit = units.find(([, size]) => ms >= size);
  if (!unit || Number.isNaN(ms)) return "just now";
  const count = Math.floor(ms / unit[1]);
  return `${String(count)} ${unit[0]}${count === 1 ? "" : "s"} ago`;
}

/** "2026-11-23 10:02:03"; a text that is no time comes back as it is. */
export function stamp(at: string): string {
  const ms = Date.parse(at);
  return Number.isNaN(ms) ? at : new Date(ms).toISOString().slice(0, 19).replace("T", " ");
}

/** "10:02:03 UTC" of the same day, else with the day. */
export function clockTime(at: string, nowMs: number): string {
  const text = stamp(at);
  const today = new Date(nowMs).toISOString().slice(0, 10);
  return `${text.startsWith(today) ? text.slice(11) : text} UTC`;
}

/** "at 10:02:03 UTC (3 minutes ago)". */
export const whenText = (at: string, nowMs: number): string =>
  `at ${clockTime(at, nowMs)} (${ago(at, nowMs)})`;
