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
  seen.machineIds.add(machineId);
  const lineage = lineageOf(state);
  const { __urn: urn, __stackIdentity: stackIdentity } = state;
  if (!lineage || typeof urn !== "string" || typeof stackIdentity !== "string") return;
  seen.generations.set(urn, Math.max(lineage.generation, seen.generations.get(urn) ?? -1));
  await journal.write({
    key: createKey({ stackIdentity, urn }, lineage.generation),
    machineId,
    recorded: true,
  });
}
