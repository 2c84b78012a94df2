/** Snapshots of the embedded control plane: taken with metadata of their own, over its own route; the rest as on Nullspace. */
import type { LocalClient } from "@pulumi-machines/sdk";
import { stateId } from "./local-ids";
import type { CallOptions, MutationOptions } from "./port";
import type { SnapshotPort, SnapshotView } from "./snapshot-port";
import { translateError } from "./translate";

export class LocalSnapshots implements SnapshotPort {
  constructor(
    private readonly own: LocalClient,
    /** What reads and deletes them. */
    private readonly others: SnapshotPort,
    private readonly hint: string | undefined,
  ) {}

  async create(
    machineId: string,
    spec: { metadata?: Record<string, unknown> },
    options: MutationOptions,
  ): Promise<SnapshotView> {
    try {
      const made = await this.own.snapshots.create(stateId(machineId), spec, options);
      const { id, sizeBytes, createdAt, metadata = {} } = made;
      return { id, machineId: stateId(made.machineId), sizeBytes, createdAt, metadata };
    } catch (error) {
      throw translateError(error, { machineId, keyed: true, hint: this.hint });
    }
  }

  get(id: string, options: CallOptions): Promise<SnapshotView> {
    return this.others.get(id, options);
  }

  list(filter: { machineId?: string }, options: CallOptions): AsyncIterable<SnapshotView> {
    return this.others.list(filter, options);
  }

  delete(id: string, options: CallOptions): Promise<void> {
    return this.others.delete(id, options);
  }
}
