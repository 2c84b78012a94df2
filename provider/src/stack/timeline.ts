/** What happened to a machine, from all sources, in one order. Pure. */
import type { CommandView } from "../controlplane/command-port";
import type { EventView } from "../controlplane/event-port";
import type { Delivery, Situation } from "./situation";
import type { StackUpdate } from "./stack-updates";

export interface TimelineEntry {
  /** ISO 8601. */
  at: string;
  source: "pulumi" | "state" | "lifecycle" | "status" | "command" | "webhook";
  what: string;
}

export interface Timeline {
  /** Oldest first. */
  entries: TimelineEntry[];
  /** How many there are before those. */
  earlier: number;
  /** Commands of which the service tells no time. */
  untimed: string[];
}

/** @param sinceMs What happened before is only counted. */
export function timelineOf(situation: Situation, sinceMs: number): Timeline {
  const { entry, events = [], updates = [], commands, deliveries, sight } = situation;
  const all: TimelineEntry[] = [
    ...updates.map(updateEntry),
    ...events.map(eventEntry),
    ...commands.flatMap(commandEntries),
    ...deliveries.map(deliveryEntry),
  ];
  if (entry?.createdAt !== undefined) {
    all.push({ at: entry.createdAt, source: "state", what: `the state has ${entry.id} since then` });
  }
  if (entry?.modifiedAt !== undefined && entry.initErrors.length > 0) {
    const what = `the state has a failed operation: ${entry.initErrors[0] ?? ""}`;
    all.push({ at: entry.modifiedAt, source: "state", what });
  }
  if (sight.kind === "there" && sight.machine.lastTransitionAt !== undefined) {
    const { phase, reason, lastTransitionAt } = sight.machine;
    const words = reason === "" || reason === phase ? phase : `${phase} (${reason})`;
    all.push({ at: lastTransitionAt, source: "status", what: `it is ${words} since then` });
  }
  const sorted = inOrder(all);
  const entries = sorted.filter(({ at }) => !(Date.parse(at) < sinceMs));
  return {
    entries,
    earlier: sorted.length - entries.length,
    untimed: commands.filter(({ startedAt }) => startedAt === undefined).map(untimedText),
  };
}

/** What happened at once stays in the order of the sources. */
const inOrder = (entries: readonly TimelineEntry[]): TimelineEntry[] =>
  [...entries].sort((one, other) => Date.parse(one.at) - Date.parse(other.at));

function updateEntry({ command, startedAt, endedAt, result, changes }: StackUpdate): TimelineEntry {
  const counts = Object.entries(changes)
    .filter(([operation, count]) => operation !== "same" && count > 0)
    .map(([operation, count]) => `${String(count)} ${operation}`);
  const took =
    endedAt === undefined
      ? ""
      : ` in ${String(Math.max(0, Math.round((Date.parse(endedAt) - Date.parse(startedAt)) / 1_000)))} s`;
  const what = `"${command}" of the stack ${result}${took}${counts.length > 0 ? `: ${counts.join(", ")}` : ""}`;
  return { at: startedAt, source: "pulumi", what };
}

function eventEntry(event: EventView): TimelineEntry {
  const { operation, status, actorKind, reason, errorCode, errorMessage } = event;
  const { sourceMachineId, targetMachineId, snapshotId } = event;
  const facts = [
    ...(reason === undefined ? [] : [reason]),
    ...(errorCode === undefined ? [] : [errorCode]),
    ...(errorMessage === undefined ? [] : [errorMessage]),
  ];
  const of = [
    ...(sourceMachineId === undefined ? [] : [`from ${sourceMachineId}`]),
    ...(targetMachineId === undefined ? [] : [`to ${targetMachineId}`]),
    ...(snapshotId === undefined ? [] : [snapshotId]),
  ];
  const what =
    `${operation} ${status} by ${actorKind}` +
    `${of.length > 0 ? ` (${of.join(" ")})` : ""}${facts.length > 0 ? `: ${facts.join(": ")}` : ""}`;
  return { at: event.occurredAt, source: "lifecycle", what };
}

function commandEntries({ program, startedAt, endedAt, outcome }: CommandView): TimelineEntry[] {
  if (startedAt === undefined) return [];
  const entries: TimelineEntry[] = [{ at: startedAt, source: "command", what: `${program} started` }];
  if (endedAt !== undefined)
    entries.push({ at: endedAt, source: "command", what: `${program} ended: ${outcome}` });
  return entries;
}

const untimedText = ({ program, outcome }: CommandView): string => `${program}: ${outcome}`;

function deliveryEntry(delivery: Delivery): TimelineEntry {
  const { webhook, operation, deliveryStatus, attemptCount, lastResponseStatus, lastError } = delivery;
  const answer = lastResponseStatus === undefined ? "" : `, answered ${String(lastResponseStatus)}`;
  const error = lastError === undefined ? "" : `, ${withoutAddresses(lastError)}`;
  const tries = `${String(attemptCount)} ${attemptCount === 1 ? "try" : "tries"}`;
  return {
    at: delivery.lastAttemptAt ?? delivery.createdAt,
    source: "webhook",
    what: `${operation} told to ${hostOf(webhook.url)}: ${deliveryStatus} after ${tries}${answer}${error}`,
  };
}

/** The path and query of an address may be its secret. */
function hostOf(url: string): string {
  try {
    return new URL(url).host;
  } catch {
    return "an address";
  }
}

const withoutAddresses = (text: string): string => text.replace(/https?:\/\/\S+/g, hostOf);
