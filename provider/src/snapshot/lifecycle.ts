/** What Pulumi asks of a snapshot, without Pulumi's types. */
import type { Context } from "../context";
import { MachineGoneError, RefusedError } from "../controlplane/port";
import { SnapshotGoneError, type SnapshotPort, type SnapshotView } from "../controlplane/snapshot-port";
import { messageOf } from "../failure-report";
import { spanOf } from "../history";
import { InitFailure } from "../init-failure";
import { oneLine } from "../one-line";
import { patiently } from "../patience";
import type { Properties, ResourceCore } from "../shell";
import { allowedMsOf } from "../timeouts";
import { snapshotArgs, timeouts } from "./args";
import { checkSnapshot } from "./check";
import { diffSnapshot } from "./diff";
import { adopt } from "./adopt";
import { findOrTake, type FoundSnapshot } from "./find";
import type { Asked } from "./key";
import { removeEarlierAttempts } from "./leftovers";
import { removeSnapshot } from "./remove";
import { originOf, stateOf } from "./state";

/** @throws InitFailure once the snapshot exists and could not be looked at; a plain Error while nothing was taken. */
async function create(context: Context, news: Properties): Promise<{ id: string; outs: Properties }> {
  const { __stackIdentity: stackIdentity, __urn: urn } = news;
  if (typeof stackIdentity !== "string" || typeof urn !== "string") {
    throw new Error(
      `snapshot "${context.name}" was not taken: its resource was not made by the class Snapshot of pulumi-machines, so that ` +
        `nothing says which snapshot is its own`,
    );
  }
  const identity = { stackIdentity, urn };
  const asked = askedIn(news);
  let found: FoundSnapshot;
  try {
    found =
      typeof news.adopt === "string"
        ? await adopt(context, portOf(context), identity, { ...asked, id: news.adopt })
        : await findOrTake(context, portOf(context), identity, asked);
  } catch (error) {
    throw notTaken(context, asked.machineId, error);
  }
  const { view, key, generation, unseen } = found;
  const claim = context.newKey();
  context.seen.claims.set(view.id, claim);
  const outs = stateOf(view, news, { generation, key, claim });
  if (unseen !== undefined) throw new InitFailure(view.id, outs, reasonsOf(context, view.id, unseen));
  context.log(`${view.id} of ${view.machineId}: ${sizeText(view)}`);
  await removeEarlierAttempts(context, identity, key);
  return { id: view.id, outs };
}

const askedIn = (news: Properties): Asked => {
  const names = Object.keys(snapshotArgs.shape);
  return snapshotArgs.parse(
    Object.fromEntries(Object.entries(news).filter(([name]) => names.includes(name))),
  );
};

function portOf({ controlPlane }: Context): SnapshotPort {
  if (controlPlane.snapshots) return controlPlane.snapshots;
  throw new Error(`the backend "${controlPlane.backend}" has no snapshots`);
}

function notTaken(context: Context, machineId: string, error: unknown): Error {
  const why = context.signal.aborted
    ? `not within ${spanOf(context.allowedMs)} (timeouts.create); if the service takes it still, the next "pulumi up" finds it`
    : error instanceof MachineGoneError
      ? `machine ${machineId} does not exist any more; "pulumi up --refresh" makes a Machine of this program again`
      : oneLine(messageOf(error));
  const requestId = error instanceof RefusedError ? error.requestId : undefined;
  const request = requestId === undefined || why.includes(requestId) ? "" : ` (request id ${requestId})`;
  return new Error(`snapshot "${context.name}" of machine ${machineId} was not taken: ${why}${request}`, {
    cause: error,
  });
}

const reasonsOf = (context: Context, id: string, error: unknown): string[] =>
  [
    `snapshot "${context.name}" (${id}) was taken, and could not be looked at: ${messageOf(error)}`,
    `next: "pulumi up" looks again; it stays in the stack until then`,
  ].map(oneLine);

const sizeText = ({ sizeBytes }: SnapshotView): string =>
  sizeBytes < 1024 * 1024
    ? `${String(sizeBytes)} bytes`
    : `${(sizeBytes / (1024 * 1024)).toFixed(1).replace(/\.0$/, "")} MiB`;

async function read(
  context: Context,
  id: string,
  state: Properties,
): Promise<{ props: Properties } | undefined> {
  const origin = originOf(state);
  try {
    const view = await patiently(context, () => portOf(context).get(id, { signal: context.signal }));
    if (origin) await context.journal.write({ key: origin.key, snapshotId: id, recorded: true });
    return { props: stateOf(view, state, origin) };
  } catch (error) {
    if (error instanceof SnapshotGoneError) return undefined;
    throw error;
  }
}

/** Nothing of a snapshot changes: it is only made sure that it is there. @throws InitFailure */
async function update(context: Context, id: string, olds: Properties, news: Properties): Promise<Properties> {
  try {
    const view = await patiently(context, () => portOf(context).get(id, { signal: context.signal }));
    return stateOf(view, news, originOf(olds));
  } catch (error) {
    const reasons =
      error instanceof SnapshotGoneError
        ? [
            `snapshot "${context.name}" (${id}) does not exist any more: it was deleted outside of Pulumi`,
            `next: "pulumi refresh" takes it out of the stack, then "pulumi up" takes a new one`,
          ]
        : reasonsOf(context, id, error);
    throw new InitFailure(id, olds, reasons, { cause: error });
  }
}

async function remove(context: Context, id: string, state: Properties): Promise<void> {
  const origin = originOf(state);
  const claim = context.seen.claims.get(id);
  if (claim !== undefined && claim !== origin?.claim) {
    // A replacement that was forced from outside could not be told from an interrupted create, and found this very
    // snapshot again. What is deleted here is only the older of two entries for it.
    context.warn(
      `snapshot "${context.name}" (${id}) was kept, not replaced: nothing told this replacement from an interrupted create. ` +
        `For a new one, change its triggers`,
    );
    return;
  }
  await removeSnapshot(context, portOf(context), id);
  if (origin) await context.journal.write({ key: origin.key, gone: true });
}

export const core: ResourceCore = {
  noun: "snapshot",
  check: (_olds, news, world) => checkSnapshot(news, world),
  diff: diffSnapshot,
  create,
  read,
  update,
  remove,
  allowedMs: (properties, operation) => allowedMsOf(timeouts, properties, operation),
};
