/** Looks at all that a stack has on its backend, with a bounded number of questions at once. */
import { MachineGoneError, type ControlPlane, type MachineDetails } from "../controlplane/port";
import { SnapshotGoneError } from "../controlplane/snapshot-port";
import { tagNames } from "../controlplane/tags";
import { WebhookGoneError } from "../controlplane/webhook-port";
import { messageOf } from "../failure-report";
import type { CreateJournal, JournalEntry } from "../journal";
import type { Entry, StackState } from "./stack-state";
import type { Look, Survey } from "./survey";
import { isInState, unknownIn } from "./unknown-machines";

const atOnce = 8;

export interface Names {
  project: string;
  stack: string;
}

interface World {
  plane: ControlPlane;
  state: StackState;
  journal: CreateJournal;
  signal: AbortSignal;
}

/** @param names Of the stack, where its state tells them. @throws what the service refuses, when it answers nothing at all */
export async function surveyOf(world: World, names: Names | undefined): Promise<Survey> {
  const { plane, state, journal } = world;
  const hasTags = plane.capabilities.metadata;
  const listed = await machinesOf(world, names);
  const marked = listed.filter(({ tags }) => tags[tagNames.identity] !== undefined);
  const isOurs = ({ tags }: MachineDetails): boolean => tags[tagNames.identity] === state.identity;
  const tagged = marked.filter(isOurs);
  const looks = new Map(
    await inTurns(state.entries, async (entry) => [entry.id, await lookAt(world, entry, listed)] as const),
  );
  const begun = state.identity === undefined ? [] : await journal.interrupted(state.identity);
  const interrupted = await inTurns(begun, async (entry) => {
    const { machineId } = entry;
    return machineId === undefined ? { entry } : { entry, look: await machineLook(world, machineId, listed) };
  });
  const unknown = unknownIn({ state, tagged });
  return {
    backend: plane.backend,
    hasTags,
    state,
    looks,
    tagged,
    namesakes: marked.filter((machine) => !isOurs(machine)),
    interrupted,
    journal: await remembered(journal, unknown),
    copiedFrom: new Map(
      (await inTurns(unknown, async ({ id }) => [id, await sourceOf(world, id)] as const)).flatMap(
        ([id, source]) => (source === undefined || isInState({ state }, id) ? [] : [[id, source] as const]),
      ),
    ),
  };
}

/** By the names of the project and the stack: with the stack's own there are those of its namesakes. */
async function machinesOf(
  { plane, state, signal }: World,
  names: Names | undefined,
): Promise<MachineDetails[]> {
  const found = new Map<string, MachineDetails>();
  const take = async (tags: Record<string, string>): Promise<void> => {
    for await (const machine of plane.listMachines({ tags }, { signal })) found.set(machine.id, machine);
  };
  if (!plane.capabilities.metadata) {
    // One list instead of a question for each machine.
    for await (const machine of plane.listMachines({}, { signal })) found.set(machine.id, machine);
    return [...found.values()];
  }
  if (state.identity !== undefined) await take({ [tagNames.identity]: state.identity });
  if (names) await take({ [tagNames.project]: names.project, [tagNames.stack]: names.stack });
  return [...found.values()];
}

async function lookAt(world: World, entry: Entry, listed: readonly MachineDetails[]): Promise<Look> {
  const { plane, signal } = world;
  const { __backend: made } = entry.outputs;
  if (typeof made === "string" && made !== plane.backend) return { kind: "elsewhere", backend: made };
  switch (entry.noun) {
    case "machine":
      return machineLook(world, entry.id, listed);
    case "snapshot":
      return otherLook(async () => plane.snapshots?.get(entry.id, { signal }), SnapshotGoneError);
    case "webhook":
      return otherLook(async () => plane.webhooks?.get(entry.id, { signal }), WebhookGoneError);
  }
}

async function machineLook(
  { plane, signal }: World,
  id: string,
  listed: readonly MachineDetails[],
): Promise<Look> {
  const known = listed.find((machine) => machine.id === id);
  if (known) return { kind: "there", machine: known };
  try {
    const machine = await plane.describeMachine(id, { signal });
    return machine.phase === "destroyed" ? { kind: "gone" } : { kind: "there", machine };
  } catch (error) {
    if (error instanceof MachineGoneError) return { kind: "gone" };
    return { kind: "unasked", why: messageOf(error) };
  }
}

async function otherLook(
  ask: () => Promise<unknown>,
  Gone: typeof SnapshotGoneError | typeof WebhookGoneError,
): Promise<Look> {
  try {
    await ask();
    return { kind: "there" };
  } catch (error) {
    return error instanceof Gone ? { kind: "gone" } : { kind: "unasked", why: messageOf(error) };
  }
}

async function remembered(
  journal: CreateJournal,
  machines: readonly MachineDetails[],
): Promise<Map<string, JournalEntry>> {
  const entries = new Map<string, JournalEntry>();
  for (const { tags } of machines) {
    const key = tags[tagNames.key];
    const entry = key === undefined ? undefined : await journal.find(key);
    if (entry) entries.set(entry.key, entry);
  }
  return entries;
}

/** The machine that one was copied from, where the history tells it. */
async function sourceOf({ plane, signal }: World, id: string): Promise<string | undefined> {
  try {
    const filter = { machineId: id, order: "asc", limit: 5 } as const;
    for await (const event of plane.events?.list(filter, { signal }) ?? []) {
      const { operation, sourceMachineId, machineId, targetMachineId } = event;
      if (operation === "fork" && sourceMachineId !== id && (targetMachineId ?? machineId) === id)
        return sourceMachineId;
    }
  } catch {
    // The other signs of a copy have to do.
  }
  return undefined;
}

async function inTurns<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results = new Array<R>(items.length);
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let at = next++; at < items.length; at = next++) results[at] = await work(items[at] as T);
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, worker));
  return results;
}
