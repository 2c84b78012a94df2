/** Deletes a snapshot; one that a machine is being made from now is waited for. */
import type { Context } from "../context";
import { RefusedError } from "../controlplane/port";
import { SnapshotInUseError, type SnapshotPort } from "../controlplane/snapshot-port";
import { messageOf } from "../failure-report";
import { spanOf } from "../history";
import { oneLine } from "../one-line";
import { patiently } from "../patience";
import { inUseWords, usersOf } from "./in-use";

const firstPauseMs = 500;
const longestPauseMs = 15_000;

/** Not found is success. @throws Error that says why it is there still. */
export async function removeSnapshot(context: Context, snapshots: SnapshotPort, id: string): Promise<void> {
  const { signal, clock } = context;
  try {
    for (let refusals = 0; ; refusals += 1) {
      try {
        return await patiently(context, () => snapshots.delete(id, { signal }));
      } catch (error) {
        if (!(error instanceof SnapshotInUseError) || signal.aborted) throw error;
        const users = await usersOf(context, error);
        // No user left of those that were named: they went meanwhile.
        const isPassing = error.users.length > 0 && users.every((user) => user.isPassing);
        const pause = Math.min(firstPauseMs * 2 ** refusals, longestPauseMs);
        if (!isPassing || clock.now() + pause >= context.deadline)
          throw new Error(inUseWords(users, error.message), { cause: error });
        context.log(`waiting for ${users.map(({ words }) => words).join(", ")}`);
        await clock.sleep(pause, signal);
      }
    }
  } catch (error) {
    const why = signal.aborted
      ? `not within ${spanOf(context.allowedMs)} (timeouts.delete)`
      : oneLine(messageOf(error));
    const requestId = error instanceof RefusedError ? error.requestId : undefined;
    const request = requestId === undefined || why.includes(requestId) ? "" : ` (request id ${requestId})`;
    throw new Error(
      `snapshot "${context.name}" (${id}) was not deleted: ${why}${request}. It stays in the stack`,
      { cause: error },
    );
  }
}
