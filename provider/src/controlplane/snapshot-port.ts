/** What the resources need of snapshots. */
import type { CallOptions, MutationOptions } from "./port";

export interface SnapshotView {
  id: string;
  machineId: string;
  sizeBytes: number;
  /** ISO 8601. */
  createdAt: string;
  metadata: Record<string, unknown>;
}

/** The service knows no such snapshot. */
export class SnapshotGoneError extends Error {
  override readonly name = "SnapshotGoneError";
  readonly code = "snapshot_gone";
  constructor(
    readonly snapshotId: string,
    options?: ErrorOptions,
  ) {
    super(`snapshot ${snapshotId} does not exist any more`, options);
  }
}

/** Machines still need it: it was not deleted. */
export class SnapshotInUseError extends Error {
  override readonly name = "SnapshotInUseError";
  readonly code = "snapshot_in_use";
  constructor(
    readonly snapshotId: string,
    /** Ids, where the service names them. */
    readonly users: readonly string[],
    options?: ErrorOptions,
  ) {
    super(`snapshot ${snapshotId} is in use${users.length > 0 ? ` by ${users.join(", ")}` : ""}`, options);
  }
}

export interface SnapshotPort {
  /** Answers when the snapshot is usable; a repeated key answers the same one. @throws MachineGoneError, KeyReusedError */
  create(
    machineId: string,
    spec: { metadata?: Record<string, unknown> },
    options: MutationOptions,
  ): Promise<SnapshotView>;
  /** @throws SnapshotGoneError */
  get(id: string, options: CallOptions): Promise<SnapshotView>;
  list(filter: { machineId?: string }, options: CallOptions): AsyncIterable<SnapshotView>;
  /** Not found is success. @throws SnapshotInUseError */
  delete(id: string, options: CallOptions): Promise<void>;
}
