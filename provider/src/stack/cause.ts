/** Which event brought a machine where it is, who caused it, and what it was about. Pure. */
import type { EventView } from "../controlplane/event-port";
import type { Situation } from "./situation";
import { updateAt, type StackUpdate } from "./stack-updates";

/** The operations of the lifecycle log, by what they make of a machine. */
const operationsTo = {
  sleeping: ["hibernate"],
  running: ["resume_from_snapshot", "create", "fork", "reconcile"],
  destroyed: ["destroy"],
} as const;

export type Rest = keyof typeof operationsTo;

/** What ends a run by itself; the words are those of the embedded control plane. */
export type Limit = "autosleep" | "inactivity_timeout" | "timeout" | "auto_delete";

const limits: readonly string[] = ["autosleep", "inactivity_timeout", "timeout", "auto_delete"];

export type Actor =
  | { kind: "stack"; update: StackUpdate }
  | { kind: "somebody" }
  /** A call, but nothing tells whose: the stack's history is not known. */
  | { kind: "unknown" }
  | { kind: "service" };

export interface Cause {
  event: EventView;
  actor: Actor;
  /** Where a limit of the machine's own was reached. */
  limit?: Limit;
}

/** The machine's own operations: it is also named by the forks and snapshots of others. */
const isAbout = ({ machineId, sourceMachineId }: EventView, id: string | undefined): boolean =>
  (machineId ?? id) === id && sourceMachineId !== id;

/** The newest operation that leads to a rest, asked for or done. Undefined where the history has none. */
export function causeOf(situation: Situation, rest: Rest): Cause | undefined {
  const { events = [], id } = situation;
  const operations: readonly string[] = operationsTo[rest];
  const own = events.filter((event) => isAbout(event, id));
  const at = own.findLastIndex(
    ({ operation, status }) => operations.includes(operation) && status !== "failed",
  );
  const found = own[at];
  if (!found) return undefined;
  // The request says who and why; the end of it may say neither.
  const request = own
    .slice(0, at + 1)
    .findLast(({ operation, status }) => operation === found.operation && status === "requested");
  const limit = limitOf(own, at, request ?? found);
  const event = { ...found, ...(request?.reason === undefined ? {} : { reason: request.reason }) };
  const actor = actorOf(situation, request ?? found);
  return { event, actor, ...(limit === undefined ? {} : { limit }) };
}

function limitOf(
  events: readonly EventView[],
  at: number,
  { reason, occurredAt }: EventView,
): Limit | undefined {
  if (reason !== undefined && limits.includes(reason)) return reason as Limit;
  // A service that gives no reason says of a lease that it expired, just before.
  const expired = events
    .slice(0, at)
    .findLast(({ operation, status }) => operation === "timeout_expired" && status !== "failed");
  if (!expired || Date.parse(occurredAt) - Date.parse(expired.occurredAt) > 60_000) return undefined;
  return expired.reason === "inactivity_timeout" ? "inactivity_timeout" : "timeout";
}

export function actorOf({ updates, entry, pending }: Situation, event: EventView): Actor {
  if (event.actorKind !== "user") return { kind: "service" };
  if (updates === undefined) return { kind: "unknown" };
  const update = updateAt(updates, event.occurredAt);
  if (update) return { kind: "stack", update };
  // A create that was interrupted is in no history.
  return entry === undefined && pending !== undefined ? { kind: "unknown" } : { kind: "somebody" };
}

/** The newest failure that the history tells. */
export const failureOf = ({ events = [], id }: Situation): EventView | undefined =>
  events.findLast(
    (event) =>
      isAbout(event, id) &&
      event.status === "failed" &&
      event.errorCode !== "superseded" &&
      event.operation !== "snapshot_created",
  );
