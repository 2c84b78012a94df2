/** Which machine is meant by a name in the program, a URN or an id. */
import { sameMachine } from "../machine/adopt";
import { MachineGoneError, type ControlPlane } from "../controlplane/port";
import { partsOf, tagNames } from "../controlplane/tags";
import type { EventView } from "../controlplane/event-port";
import type { CreateJournal } from "../journal";
import type { Entry, PendingOperation, StackState } from "./stack-state";
import type { FoundBy } from "./situation";

export interface Target {
  name: string;
  id?: string;
  entry?: Entry;
  pending?: PendingOperation;
  foundBy?: FoundBy;
}

/** No machine is meant, or several may be; says which there are. */
export class NoTargetError extends Error {
  override readonly name = "NoTargetError";
}

const isMeant = (asked: string, { urn, name }: { urn: string; name: string }): boolean =>
  urn === asked || name === asked;

/** In the state alone. Pure. @throws NoTargetError when several are meant */
export function inState(asked: string, { entries, pending }: StackState): Target | undefined {
  const machines = entries.filter(({ noun }) => noun === "machine");
  const meant = machines.filter((entry) => isMeant(asked, entry) || sameMachine(entry.id, asked));
  // The one that was replaced is meant only where its id is given.
  const inForce = meant.filter(({ isReplaced, id }) => !isReplaced || sameMachine(id, asked));
  const urns = new Set(inForce.map(({ urn }) => urn));
  if (urns.size > 1) {
    throw new NoTargetError(
      `"${asked}" is the name of several machines; give one of these: ${[...urns].join(", ")}`,
    );
  }
  const [entry] = inForce.length > 0 ? inForce : meant;
  const waiting = pending.find((operation) => operation.isMachine && isMeant(asked, operation));
  if (!entry && !waiting) return undefined;
  return {
    name: entry?.name ?? waiting?.name ?? asked,
    ...(entry === undefined ? {} : { entry, id: entry.id }),
    ...(waiting === undefined ? {} : { pending: waiting }),
  };
}

interface World {
  state: StackState;
  plane: ControlPlane;
  journal: CreateJournal;
}

/** @throws NoTargetError when nothing knows it */
export async function findTarget(asked: string, world: World, signal: AbortSignal): Promise<Target> {
  const known = inState(asked, world.state);
  if (known?.entry) return known;
  const { name } = known ?? { name: asked.startsWith("urn:pulumi:") ? partsOf(asked).name : asked };
  const found =
    (await byTags(name, world, signal)) ??
    (await inJournal(asked, world)) ??
    (known ? undefined : ((await byId(asked, world, signal)) ?? (await inHistory(name, world, signal))));
  if (known || found) return { ...known, name, ...found };
  throw new NoTargetError(unknownText(asked, world));
}

type Found = Pick<Target, "id" | "foundBy">;

async function inJournal(asked: string, { state, journal }: World): Promise<Found | undefined> {
  if (state.identity === undefined) return undefined;
  const entries = await journal.interrupted(state.identity);
  const meant = entries.findLast(
    ({ urn = "", machineId }) => isMeant(asked, { urn, name: partsOf(urn).name }) && machineId,
  );
  return meant?.machineId === undefined ? undefined : { id: meant.machineId, foundBy: "journal" };
}

async function byTags(
  name: string,
  { state, plane }: World,
  signal: AbortSignal,
): Promise<Found | undefined> {
  if (state.identity === undefined || !plane.capabilities.metadata) return undefined;
  const tags = { [tagNames.identity]: state.identity, [tagNames.resource]: name };
  let newest: { id: string; createdAt?: string } | undefined;
  try {
    for await (const machine of plane.listMachines({ tags }, { signal })) {
      if (!newest || (machine.createdAt ?? "") > (newest.createdAt ?? "")) newest = machine;
    }
  } catch {
    return undefined; // The look at the machine itself says why the service does not answer.
  }
  return newest && { id: newest.id, foundBy: "tags" };
}

async function byId(asked: string, { plane }: World, signal: AbortSignal): Promise<Found | undefined> {
  try {
    return { id: (await plane.getMachine(asked, { signal })).id, foundBy: "id" };
  } catch (error) {
    if (!(error instanceof MachineGoneError)) return undefined;
  }
  // An id of a machine that is gone still has a history.
  for await (const event of eventsOf(plane, { machineId: asked, limit: 1 }, signal)) {
    return { id: event.machineId ?? asked, foundBy: "id" };
  }
  return undefined;
}

const searched = 500;

/** A machine that the stack has destroyed: its last event still has its tags. */
async function inHistory(
  name: string,
  { state, plane }: World,
  signal: AbortSignal,
): Promise<Found | undefined> {
  const filter = { operation: "destroy", order: "desc", limit: searched } as const;
  for await (const { machineId, metadata } of eventsOf(plane, filter, signal)) {
    const isOurs = state.identity === undefined || metadata[tagNames.identity] === state.identity;
    if (machineId !== undefined && isOurs && metadata[tagNames.resource] === name) {
      return { id: machineId, foundBy: "history" };
    }
  }
  return undefined;
}

/** None where it cannot be read: a search finds less, and does not fail. */
async function* eventsOf(
  plane: ControlPlane,
  filter: Parameters<NonNullable<ControlPlane["events"]>["list"]>[0],
  signal: AbortSignal,
): AsyncGenerator<EventView, void> {
  try {
    yield* plane.events?.list(filter, { signal }) ?? [];
  } catch {
    return;
  }
}

function unknownText(asked: string, { state, plane }: World): string {
  const names = state.entries
    .filter(({ noun }) => noun === "machine")
    .map(({ name, id }) => `${name} (${id})`);
  const has = names.length === 0 ? "it has none" : `it has ${names.slice(0, 20).join(", ")}`;
  const more = names.length > 20 ? ` and ${String(names.length - 20)} more` : "";
  return (
    `"${asked}" is no machine of this stack (${has}${more}), and no id of a machine that the backend "${plane.backend}" ` +
    `shows; give a resource name, a URN or a machine id`
  );
}
