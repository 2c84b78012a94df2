/**
 * Remembers which machines the stack's state holds. The engine shows it with every diff, update, read and delete,
 * and asks for the create of a replacement without saying that it is one.
 */
import type { CreateJournal, SeenState } from "../journal";
import { createKey } from "../identity";
import { lineageOf } from "./state";

/** The engine named this machine, with what its state holds of it. */
export async function sighted(
  world: { seen: SeenState; journal: CreateJournal },
  machineId: string,
  state: Record<string, unknown>,
): Promise<void> {
  const { seen, journal } = world;
  seen.ids.add(machineId);
  const { __urn: urn } = state;
  const lineage = lineageOf(state);
  const key = keyOf(state);
  if (!lineage || !key || typeof urn !== "string") return;
  seen.generations.set(urn, Math.max(lineage.generation, seen.generations.get(urn) ?? -1));
  await journal.write({ key, machineId, recorded: true });
}

/** The key that the machine of a state was created with; undefined for one that was only read. */
export function keyOf(state: Record<string, unknown>): string | undefined {
  const lineage = lineageOf(state);
  const { __urn: urn, __stackIdentity: stackIdentity } = state;
  if (!lineage || typeof urn !== "string" || typeof stackIdentity !== "string") return undefined;
  return createKey({ stackIdentity, urn }, lineage.generation);
}
