/** Snapshots over the Nullspace API. */
import type { NullspaceClient, Snapshot } from "@pulumi-machines/sdk";
import type { MachineIds } from "./nullspace-ids";
import { RefusedError, type CallOptions, type MutationOptions } from "./port";
import { SnapshotGoneError, type SnapshotPort, type SnapshotView } from "./snapshot-port";
import { translateError, type CallFacts } from "./translate";

export class NullspaceSnapshots implements SnapshotPort {
  constructor(
    private readonly client: NullspaceClient,
    private readonly ids: MachineIds,
    private readonly hint: string | undefined,
  ) {}

  /** The API keeps no metadata that a client gives. */
  async create(machineId: string, _spec: object, options: MutationOptions): Promise<SnapshotView> {
    const id = this.ids.toWire(machineId);
    try {
      return await this.call({ machineId, keyed: true }, async () =>
        this.viewOf(await this.client.snapshots.create(id, options)),
      );
    } catch (error) {
      // A machine that is gone may be refused for its state.
      if (error instanceof RefusedError && error.code === "INVALID_STATE") {
        await this.call({ machineId }, () => this.client.machines.get(id, { signal: options.signal }));
      }
      throw error;
    }
  }

  async get(id: string, { signal }: CallOptions): Promise<SnapshotView> {
    return this.call({ snapshotId: id }, async () =>
      this.viewOf(await this.client.snapshots.get(id, { signal })),
    );
  }

  async *list(
    { machineId }: { machineId?: string },
    { signal }: CallOptions,
  ): AsyncGenerator<SnapshotView, void> {
    const filter = machineId === undefined ? {} : { machineId: this.ids.toWire(machineId) };
    try {
      for await (const snapshot of this.client.snapshots.list(filter, { signal }))
        yield this.viewOf(snapshot);
    } catch (error) {
      throw this.translated(error, { machineId });
    }
  }

  async delete(id: string, { signal }: CallOptions): Promise<void> {
    try {
      await this.call({ snapshotId: id }, () => this.client.snapshots.delete(id, { signal }));
    } catch (error) {
      if (!(error instanceof SnapshotGoneError)) throw error;
    }
  }

  private viewOf({ id, machineId, sizeBytes, createdAt, metadata = {} }: Snapshot): SnapshotView {
    return { id, machineId: this.ids.fromWire(machineId), sizeBytes, createdAt, metadata };
  }

  private async call<T>(facts: CallFacts, send: () => Promise<T>): Promise<T> {
    try {
      return await send();
    } catch (error) {
      throw this.translated(error, facts);
    }
  }

  private translated(error: unknown, facts: CallFacts): unknown {
    return translateError(error, { ...facts, hint: this.hint, fromWire: this.ids.fromWire });
  }
}
