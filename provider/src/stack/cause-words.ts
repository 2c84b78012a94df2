/** Who did what and when, in words. Pure. */
import { formatDuration } from "@pulumi-machines/sdk/duration";
import type { Actor, Limit } from "./cause";
import type { Situation } from "./situation";
import { clockTime, whenText } from "./times";

/** "web", and with its id where the two differ. */
export const called = ({ name, id }: Pick<Situation, "name" | "id">): string =>
  id === undefined || id === name ? name : `${name} (${id})`;

/** "by somebody else than this stack", "by this stack's "pulumi up" of 10:02:03 UTC". */
export function byWhom(actor: Actor, nowMs: number): string {
  switch (actor.kind) {
    case "stack":
      return `by this stack's "${actor.update.command}" of ${clockTime(actor.update.startedAt, nowMs)}`;
    case "somebody":
      return "by somebody else than this stack";
    case "unknown":
      return "by a call, and nothing tells whose";
    case "service":
      return "by the service itself";
  }
}

/** "its autosleep of 15m". */
export function limitWords(limit: Limit, { sight, entry }: Pick<Situation, "sight" | "entry">): string {
  const machine = sight.kind === "there" ? sight.machine : undefined;
  const seconds = machine?.autosleepSeconds ?? entry?.outputs.autosleepSeconds;
  const asked = entry?.outputs.lifetime;
  const lifetime = machine?.lifetime ?? (typeof asked === "object" && asked !== null ? asked : {});
  const of = (name: string): string => {
    const text: unknown = (lifetime as Record<string, unknown>)[name];
    return typeof text === "string" && text !== "never" ? ` of ${text}` : "";
  };
  switch (limit) {
    case "autosleep":
      return `its autosleep${typeof seconds === "number" && seconds > 0 ? ` of ${formatDuration(seconds)}` : ""}`;
    case "inactivity_timeout":
      return `its inactivity limit${of("inactivity")} (lifetime.inactivity)`;
    case "timeout":
      return `its timeout${of("timeout")} (lifetime.timeout)`;
    case "auto_delete":
      return `the time that it may sleep${of("deleteAfterSleeping")} (lifetime.deleteAfterSleeping)`;
  }
}

/** What the stack saw last: "the stack saw it last running, at 10:02:03 UTC (...)". */
export function lastSeen({ entry, nowMs }: Pick<Situation, "entry" | "nowMs">): string {
  const phase = entry?.outputs.phase;
  if (entry === undefined || typeof phase !== "string") return "the stack has not seen it yet";
  const at = entry.modifiedAt ?? entry.createdAt;
  return `the stack saw it last ${phase}${at === undefined ? "" : `, ${whenText(at, nowMs)}`}`;
}

export const noHistory = (backend: string): string => `the backend "${backend}" keeps no history`;
