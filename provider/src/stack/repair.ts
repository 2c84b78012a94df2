/**
 * Does what was agreed to, and nothing else. First what asks Pulumi, which refuses while an update of the stack runs: a
 * machine that an update is making now looks like one that was left behind.
 */
import { randomUUID } from "node:crypto";
import { tagNames } from "../controlplane/tags";
import { MachineGoneError, type MachineDetails } from "../controlplane/port";
import { messageOf } from "../failure-report";
import type { Repair } from "./doctor-report";
import { fixText, type Finding, type Fix } from "./finding";
import type { OpenedStack } from "./open-stack";
import { readState } from "./stack-state";
import { isInState } from "./unknown-machines";

type Fixed = Finding & { fix: Fix };

const order: Record<Fix["do"], number> = {
  remove_entry: 0,
  clear_pending: 1,
  delete_machine: 2,
  close_journal: 3,
};

/** @param agreed The findings to mend. */
export async function repair(
  agreed: readonly Finding[],
  opened: OpenedStack,
  signal: AbortSignal,
): Promise<Repair[]> {
  const fixes = agreed
    .filter((finding): finding is Fixed => finding.fix !== undefined)
    .sort((one, other) => order[one.fix.do] - order[other.fix.do]);
  const deleted = new Set(fixes.flatMap(({ fix }) => (fix.do === "delete_machine" ? [fix.machineId] : [])));
  const repairs: Repair[] = [];
  let noUpdateRuns: Promise<void> | undefined;
  for (const { subject, fix } of fixes) {
    const what = fixText(fix);
    try {
      if (fix.do === "delete_machine") await (noUpdateRuns ??= checkNoUpdate(opened));
      if (fix.do === "clear_pending") {
        const kept = fix.needs.filter((id) => !deleted.has(id));
        if (kept.length > 0)
          throw new Error(`${kept.join(", ")} is still there: run "pulumi up", which takes it up`);
        noUpdateRuns = opened.cli.clearPending();
        await noUpdateRuns;
      } else await apply(fix, opened, signal);
      repairs.push({ subject, what, outcome: "done" });
    } catch (error) {
      repairs.push({ subject, what, outcome: "failed", why: messageOf(error) });
    }
  }
  return repairs;
}

/** Only Pulumi can tell, when it writes the state: so the same state is written again. */
async function checkNoUpdate({ cli }: OpenedStack): Promise<void> {
  const { pending } = readState(await cli.export());
  if (pending.length > 0) {
    throw new Error("the state has pending operations, so that an update may be running: clear them first");
  }
  await cli.clearPending();
}

async function apply(fix: Exclude<Fix, { do: "clear_pending" }>, opened: OpenedStack, signal: AbortSignal) {
  switch (fix.do) {
    case "remove_entry":
      return opened.cli.refreshOnly(fix.urn);
    case "close_journal":
      return opened.journal.write(
        fix.as === "gone" ? { key: fix.key, gone: true } : { key: fix.key, recorded: true },
      );
    case "delete_machine":
      return deleteMachine(fix, opened, signal);
  }
}

/** Looks once more: what was found may be another machine by now, or in the state. */
async function deleteMachine(
  { machineId, key }: Extract<Fix, { do: "delete_machine" }>,
  { plane, cli, journal, state: { identity } }: OpenedStack,
  signal: AbortSignal,
): Promise<void> {
  if (isInState({ state: readState(await cli.export()) }, machineId)) {
    throw new Error(`${machineId} is in the state by now: nothing was deleted`);
  }
  let machine: MachineDetails;
  try {
    machine = await plane.describeMachine(machineId, { signal });
  } catch (error) {
    if (error instanceof MachineGoneError) return;
    throw error;
  }
  const tag = machine.tags[tagNames.identity];
  // Without tags, what this computer remembers has to do.
  const isOurs =
    tag !== undefined
      ? tag === identity
      : key !== undefined && (await journal.find(key))?.machineId === machineId;
  if (!isOurs)
    throw new Error(`${machineId} does not carry this stack's identity any more: nothing was deleted`);
  await plane.deleteMachine(machineId, { signal, idempotencyKey: randomUUID() });
  for await (const { phase, lastError } of plane.watchMachine(machineId, { signal })) {
    if (phase === "destroyed") break;
    if (phase === "failed")
      throw new Error(`${machineId} could not be destroyed: ${lastError ?? "no reason given"}`);
  }
  if (key !== undefined) await journal.write({ key, gone: true });
}
