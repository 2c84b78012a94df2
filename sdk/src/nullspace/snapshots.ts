/** `client.snapshots`: states of machines that new machines are made from. */
import { z } from "zod";
import { fetchAs, fetchValue, segment } from "../answers";
import type { CallOptions, MutationOptions } from "../call";
import { pagesOf, type Pages } from "../listing";
import { anyAnswer, machinePath, withKey, withoutKey, withWhole } from "./calls";
import type { NullspaceContext } from "./context";
import { recoveryRetry } from "./retry";
import { timeLimits } from "./time-limits";
import { snapshotAnswer, type Snapshot } from "./wire";

export interface ListSnapshotsParams {
  /** Of this machine only. */
  machineId?: string | undefined;
  /** Snapshots whose metadata holds all these pairs. */
  metadata?: Record<string, unknown> | undefined;
}

/** The service answers all at once: there is one page. */
export type SnapshotListing = Pages<Snapshot, { items: Snapshot[] }>;

export class Snapshots {
  constructor(private readonly context: Pick<NullspaceContext, "transport">) {}

  /**
   * Freezes a running machine for a moment and keeps its state, for any number of new machines. Repeated with the same key
   * when the answer is lost.
   * @throws NotFoundError · ConflictError `machine_not_ready` · QuotaExceededError
   */
  async create(machineId: string, options?: MutationOptions): Promise<Snapshot> {
    return fetchAs(this.context.transport, snapshotAnswer, {
      what: `take a snapshot of machine ${machineId}`,
      machineId,
      method: "POST",
      path: machinePath(machineId, "/snapshots"),
      retry: recoveryRetry,
      attemptTimeoutMs: timeLimits.transitionMs,
      options: withWhole(withKey(options)),
    });
  }

  list({ machineId, metadata }: ListSnapshotsParams = {}, options?: CallOptions): SnapshotListing {
    return pagesOf<Snapshot, { items: Snapshot[] }, string>({
      items: (page) => page.items,
      next: () => undefined,
      fetch: async () => {
        const { value } = await fetchValue(this.context.transport, z.array(snapshotAnswer), {
          what: "list snapshots",
          method: "GET",
          path: "/v1/snapshots",
          query: {
            machine_id: machineId,
            metadata: metadata === undefined ? undefined : JSON.stringify(metadata),
          },
          options: withoutKey(options),
        });
        return { items: value };
      },
    });
  }

  /** @throws NotFoundError */
  async get(snapshotId: string, options?: CallOptions): Promise<Snapshot> {
    return fetchAs(this.context.transport, snapshotAnswer, {
      what: `read snapshot ${snapshotId}`,
      method: "GET",
      path: snapshotPath(snapshotId),
      options: withoutKey(options),
    });
  }

  /** @throws NotFoundError · ConflictError `snapshot_in_use` · NotImplementedError */
  async delete(snapshotId: string, options?: CallOptions): Promise<void> {
    await fetchValue(this.context.transport, anyAnswer, {
      what: `delete snapshot ${snapshotId}`,
      method: "DELETE",
      path: snapshotPath(snapshotId),
      keyed: false,
      options: withoutKey(options),
    });
  }
}

const snapshotPath = (snapshotId: string): string => `/v1/snapshots/${segment("snapshot id", snapshotId)}`;
