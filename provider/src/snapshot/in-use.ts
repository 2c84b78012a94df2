/** A snapshot that machines still need: who they are, and what to do. */
import type { Context } from "../context";
import { MachineGoneError, type MachineView } from "../controlplane/port";
import { SnapshotInUseError } from "../controlplane/snapshot-port";
import { tagNames } from "../controlplane/tags";
import { wordsOf } from "../converge";
import { patiently } from "../patience";

interface User {
  id: string;
  /** What it is doing, and whose it is, as far as the service says. */
  words: string;
  /** On its way to where it needs the snapshot no more. */
  isPassing: boolean;
}

export async function usersOf(context: Context, error: SnapshotInUseError): Promise<User[]> {
  const users = await Promise.all(error.users.map((id) => userOf(context, id)));
  return users.filter((user) => user !== undefined);
}

async function userOf(context: Context, id: string): Promise<User | undefined> {
  const { controlPlane, signal } = context;
  try {
    const { tags, ...view } = await patiently(context, () => controlPlane.describeMachine(id, { signal }));
    const { [tagNames.project]: project, [tagNames.stack]: stack, [tagNames.resource]: resource } = tags;
    const whose =
      resource === undefined ? "" : `, "${resource}" of the stack ${project ?? ""}/${stack ?? ""}`;
    return { id, words: `${id} (${wordsOf(view)}${whose})`, isPassing: isBeingMade(view) };
  } catch (failure) {
    if (failure instanceof MachineGoneError) return undefined;
    // Only to say more: the id alone will do.
    return { id, words: id, isPassing: false };
  }
}

const isBeingMade = ({ phase, desiredState }: MachineView): boolean =>
  (desiredState === "running" && ["accepted", "placement_pending", "starting"].includes(phase)) ||
  phase === "destroying";

/** The lines of a delete that is refused for good. */
export function inUseWords(users: readonly User[], serviceSays: string): string {
  const who =
    users.length > 0
      ? `machines need it: ${users.map(({ words }) => words).join(", ")}`
      : `machines need it, and the service does not say which (${serviceSays})`;
  return (
    `${who}. Destroy them first, or, to let it stay at the service, give the Snapshot the option retainOnDelete: true and run ` +
    `"pulumi up"; then run the same command again`
  );
}
