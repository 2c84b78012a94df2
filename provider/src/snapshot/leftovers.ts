/**
 * Snapshots of creates that were interrupted and never taken up: because the program asked for another one meanwhile, or
 * the stack was destroyed. Only those that this computer knows of (its create journal). What cannot be removed is named.
 */
import type { Context } from "../context";
import { MachineGoneError, RefusedError } from "../controlplane/port";
import { tagNames } from "../controlplane/tags";
import type { SnapshotPort } from "../controlplane/snapshot-port";
import { messageOf } from "../failure-report";
import type { ResourceIdentity } from "../identity";
import type { JournalEntry } from "../journal";
import { oneLine } from "../one-line";
import { patiently } from "../patience";
import { nameOf } from "../urn";
import { journalOwner } from "./key";

/** After a create: earlier attempts of the same resource, for another machine, with other triggers or metadata. */
export async function removeEarlierAttempts(
  context: Context,
  { stackIdentity, urn }: ResourceIdentity,
  ownKey: string,
): Promise<void> {
  const entries = await context.journal.interrupted(journalOwner(stackIdentity));
  for (const entry of entries.filter((other) => other.urn === urn && other.key !== ownKey)) {
    await removeAttempt(context, entry);
  }
}

/** With the stack, when all that its state knew is gone. */
export async function removeInterruptedSnapshots(context: Context, stackIdentity: string): Promise<void> {
  for (const entry of await context.journal.interrupted(journalOwner(stackIdentity))) {
    await removeAttempt(context, entry);
  }
}

/** What an attempt made cannot be known any more. */
class TraceLostError extends Error {}

async function removeAttempt(context: Context, entry: JournalEntry): Promise<void> {
  const { controlPlane, journal, signal } = context;
  const { snapshots } = controlPlane;
  const { key, urn = "", machineId = "unknown" } = entry;
  if (!snapshots) return;
  try {
    const id = entry.snapshotId ?? (await attemptOf(context, snapshots, entry));
    if (id !== undefined && !context.seen.ids.has(id)) {
      context.log(`deleting ${id}, which an interrupted create of "${nameOf(urn)}" has left`);
      await patiently(context, () => snapshots.delete(id, { signal }));
    }
    await journal.write({ key, gone: true });
  } catch (error) {
    context.warn(
      `an interrupted create of the snapshot "${nameOf(urn)}" may have left one of machine ${machineId} behind: ` +
        `${oneLine(messageOf(error))}. Look at the snapshots of that machine`,
    );
    // Said once; anything else may be mended by then.
    if (error instanceof TraceLostError) await journal.write({ key, gone: true });
  }
}

/** The id of what an attempt has made; undefined when it made nothing. */
async function attemptOf(
  context: Context,
  snapshots: SnapshotPort,
  { key, machineId }: JournalEntry,
): Promise<string | undefined> {
  const { controlPlane, signal } = context;
  if (machineId === undefined) return undefined;
  if (controlPlane.capabilities.snapshotMetadata) {
    return patiently(context, async () => {
      for await (const { id, metadata } of snapshots.list({ machineId }, { signal })) {
        if (metadata[tagNames.key] === key) return id;
      }
      return undefined;
    });
  }
  const again = { idempotencyKey: key, signal };
  try {
    // The same key answers with the snapshot if there is one; if not, one is taken and goes again.
    return (await patiently(context, () => snapshots.create(machineId, {}, again))).id;
  } catch (error) {
    if (error instanceof RefusedError && error.code === "INVALID_STATE") return undefined;
    if (!(error instanceof MachineGoneError)) throw error;
    throw new TraceLostError("the machine is gone, and nothing else tells which snapshot it was", {
      cause: error,
    });
  }
}
