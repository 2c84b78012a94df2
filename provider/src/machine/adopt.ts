/** Taking over a machine that exists, instead of making one. */
import type { Context } from "../context";
import { MachineGoneError } from "../controlplane/port";
import { createKey, type ResourceIdentity } from "../identity";
import { patiently } from "../patience";
import type { Found } from "./find-machine";

/** A machine has one id and, where a control plane speaks two dialects, a prefix for each. */
const bare = (id: string): string => id.replace(/^(dm-|mch_)/, "");

export const sameMachine = (one: string, other: string): boolean => bare(one) === bare(other);

/** Why a machine cannot be taken over; undefined when it can. */
export async function adoptRefusal(context: Context, id: string): Promise<string | undefined> {
  try {
    const { signal } = context;
    const { phase, desiredState } = await context.controlPlane.getMachine(id, { signal });
    return phase === "destroyed" || phase === "destroying" || desiredState === "destroyed"
      ? `names a machine that is ${phase}`
      : undefined;
  } catch (error) {
    if (!(error instanceof MachineGoneError)) throw error;
    return `names no machine of the backend "${context.controlPlane.backend}"`;
  }
}

/** @throws Error when there is no such machine, or this stack has it already. */
export async function adoptMachine(context: Context, identity: ResourceIdentity, id: string): Promise<Found> {
  const why = await patiently(context, () => adoptRefusal(context, id));
  if (why !== undefined) throw new Error(`adopt ${why}: "${id}"`);
  const view = await context.controlPlane.getMachine(id, { signal: context.signal });
  if (context.seen.claims.has(view.id)) {
    throw new Error(`adopt names ${view.id}, which another resource of this program has taken over already`);
  }
  const generation = (context.seen.generations.get(identity.urn) ?? -1) + 1;
  const key = createKey(identity, generation);
  await context.journal.write({ key, machineId: view.id, recorded: true });
  return { view, key, generation, adopted: true };
}
