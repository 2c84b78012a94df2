/**
 * Finds or makes the machine of a resource, exactly one. A resource has had machines 0, 1, 2, ...; each was created
 * with its own idempotency key. The first that is neither destroyed nor held by the state already is ours: made now, or
 * by a create that was interrupted. See docs/decisions/0002-create-identity.md.
 */
import type { Context } from "../context";
import { KeyReusedError, MachineGoneError, type MachineSpec, type MachineView } from "../controlplane/port";
import { tagNames, tagsFor } from "../controlplane/tags";
import { createKey, type ResourceIdentity } from "../identity";
import { journaled, specOfEntry } from "../journal";
import { patiently } from "../patience";

export interface Found {
  view: MachineView;
  /** What the service answered when it accepted the machine, where it was asked in this run. */
  accepted?: MachineView;
  key: string;
  generation: number;
  /** True when an earlier create, interrupted, had asked for it. */
  adopted: boolean;
}

/** A create that cannot be told from another one: nothing was made. */
export class AmbiguousCreateError extends Error {
  override readonly name = "AmbiguousCreateError";
}

export async function findOrMake(
  context: Context,
  identity: ResourceIdentity,
  spec: MachineSpec,
): Promise<Found> {
  const first = (context.seen.generations.get(identity.urn) ?? -1) + 1;
  for (let generation = first; ; generation += 1) {
    context.signal.throwIfAborted();
    const key = createKey(identity, generation);
    const tagged = context.controlPlane.capabilities.metadata
      ? { ...spec, tags: tagsFor(identity, generation) }
      : spec;
    const found = await tryGeneration(context, { ...identity, key, generation }, tagged);
    if (found) return { ...found, key, generation };
  }
}

/** The machine behind a key, made if there was none; undefined when it is destroyed, or the state holds it. */
async function tryGeneration(
  context: Context,
  { key, generation, stackIdentity, urn }: ResourceIdentity & { key: string; generation: number },
  spec: MachineSpec,
): Promise<Pick<Found, "view" | "accepted" | "adopted"> | undefined> {
  const { controlPlane, journal, seen, signal } = context;
  const known = await journal.find(key);
  if (known?.gone || known?.recorded) return undefined;

  let machineId = known?.machineId;
  let accepted: MachineView | undefined;
  if (machineId === undefined) {
    const body = known?.body ? specOfEntry(known.body, spec) : spec;
    await journal.write({ key, stackIdentity, urn, body: journaled(body) });
    const answer = await make(context, key, body);
    if (!known) accepted = answer;
    machineId = answer.id;
    await journal.write({ key, machineId });
  }
  if (seen.ids.has(machineId)) {
    await journal.write({ key, recorded: true });
    return undefined;
  }
  const id = machineId;
  try {
    // The answer to the create may be an old one, repeated: only a fresh look tells whether the machine still is.
    const view = await patiently(context, () => controlPlane.getMachine(id, { signal }));
    if (view.phase !== "destroyed" && view.phase !== "destroying" && view.desiredState !== "destroyed") {
      return { view, adopted: known !== undefined, ...(accepted ? { accepted } : {}) };
    }
  } catch (error) {
    if (!(error instanceof MachineGoneError)) throw new LookedUpError(machineId, generation, error);
  }
  await journal.write({ key, gone: true });
  return undefined;
}

/** The machine that was created with a key, where the backend keeps tags; undefined when there is none. */
export async function findTagged(context: Context, key: string): Promise<MachineView | undefined> {
  const { controlPlane, signal } = context;
  if (!controlPlane.capabilities.metadata) return undefined;
  return patiently(context, async () => {
    let oldest: MachineView | undefined;
    for await (const machine of controlPlane.listMachines({ tags: { [tagNames.key]: key } }, { signal })) {
      if (machine.phase === "destroying" || machine.phase === "destroyed") continue;
      // A copy of the machine may have its tags, too; it is younger.
      if (!oldest || (machine.createdAt ?? "") < (oldest.createdAt ?? "")) oldest = machine;
    }
    return oldest;
  });
}

/** The machine was made, or found, but could not be looked at. */
export class LookedUpError extends Error {
  override readonly name = "LookedUpError";
  constructor(
    readonly machineId: string,
    readonly generation: number,
    override readonly cause: unknown,
  ) {
    super(`machine ${machineId} was made, but could not be looked at`);
  }
}

async function make(context: Context, key: string, body: MachineSpec): Promise<MachineView> {
  try {
    const options = { idempotencyKey: key, signal: context.signal };
    return await patiently(context, () => context.controlPlane.createMachine(body, options));
  } catch (error) {
    if (!(error instanceof KeyReusedError)) throw error;
    const tagged = await findTagged(context, key);
    if (tagged) return tagged;
    throw new AmbiguousCreateError(
      `machine "${context.name}" was not created: the service says that a machine was asked for under this name before, with ` +
        `another size, and this computer does not know with which. Most likely an earlier "pulumi up" was interrupted on ` +
        `another computer, or the resource was removed and added again with another size. If the first: run "pulumi up" once ` +
        `with the earlier size, then with the new one. If the second: give the resource another name. Nothing was made twice.`,
      { cause: error },
    );
  }
}
