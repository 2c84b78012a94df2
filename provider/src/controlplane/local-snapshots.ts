/** Snapshots of the embedded control plane: taken with metadata of their own, over its own route; the rest as on Nullspace. */
import type { LocalClient, NullspaceClient, Snapshot } from "@pulumi-machines/sdk";
import { nullspaceId, stateId } from "./local-ids";
import type { CallOptions, MutationOptions } from "./port";
import { SnapshotGoneError, type SnapshotPort, type SnapshotView } from "./snapshot-port";
import { translateError, type CallFacts } from "./translate";

export class LocalSnapshots implements SnapshotPort {
  constructor(
    private readonly own: LocalClient,
    private readonly nullspace: NullspaceClient,
    private readonly hint: string | undefined,
  ) {}

  async create(
    machineId: string,
    spec: { metadata?: Record<string, unknown> },
    options: MutationOptions,
  ): Promise<SnapshotView> {
    return this.call({ machineId, keyed: true }, async () =>
      viewOf(await this.own.snapshots.create(stateId(machineId), spec, options)),
    );
  }

  async get(id: string, { signal }: CallOptions): Promise<SnapshotView> {
    return this.call({ snapshotId: id }, async () =>
      viewOf(await this.nullspace.snapshots.get(id, { signal })),
    );
  }

  async *list(
    { machineId }: { machineId?: string },
    { signal }: CallOptions,
  ): AsyncGenerator<SnapshotView, void> {
    const params = machineId === undefined ? {} : { machineId: nullspaceId(machineId) };
    try {
      for await (const snapshot of this.nullspace.snapshots.list(params, { signal })) yield viewOf(snapshot);
    } catch (error) {
      throw translateError(error, { hint: this.hint });
    }
  }

  async delete(id: string, { signal }: CallOptions): Promise<void> {
    try {
      await this.call({ snapshotId: id }, () => this.nullspace.snapshots.delete(id, { signal }));
    } catch (error) {
      if (!(error instanceof SnapshotGoneError)) throw error;
    }
  }

  private async call<T>(facts: CallFacts, send: () => Promise<T>): Promise<T> {
    try {
      return await send();
    } catch (error) {
      throw translateError(error, { ...facts, hint: this.hint, fromWire: stateId });
    }
  }
}

const viewOf = ({ id, machineId, sizeBytes, createdAt, metadata = {} }: Snapshot): SnapshotView => ({
  ...{ id, machineId: stateId(machineId), sizeBytes, createdAt, metadata },
});
