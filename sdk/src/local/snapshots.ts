/** `client.snapshots`: snapshots that carry metadata of their own. */
import { fetchAs, segment } from "../answers";
import type { MutationOptions } from "../call";
import type { Transport } from "../http";
import { given } from "../nullspace/calls";
import { timeLimits } from "../nullspace/time-limits";
import { snapshotAnswer, type Snapshot } from "../nullspace/wire";
import { knownHere } from "./machines";

export interface CreateLocalSnapshotParams {
  /** At most 64 KiB of JSON; default that of the machine. */
  metadata?: Record<string, unknown> | undefined;
}

export class LocalSnapshots {
  constructor(private readonly transport: Transport) {}

  /**
   * Answers when the snapshot can be used; a repeated key answers the same one. `NullspaceClient.snapshots` reads and deletes it.
   * @param machineId `dm-...`
   * @throws NotFoundError `machine_not_found` · AnswerError `INVALID_STATE`, `snapshot_failed`
   */
  async create(
    machineId: string,
    { metadata }: CreateLocalSnapshotParams = {},
    options?: MutationOptions,
  ): Promise<Snapshot> {
    return knownHere(this.transport, () =>
      fetchAs(this.transport, snapshotAnswer, {
        what: `take a snapshot of machine ${machineId}`,
        machineId,
        method: "POST",
        path: `/local/v1/machines/${segment("machine id", machineId)}/snapshots`,
        body: given({ metadata }),
        attemptTimeoutMs: timeLimits.transitionMs,
        options: { timeoutMs: timeLimits.wholeRecoveryMs, ...options },
      }),
    );
  }
}
