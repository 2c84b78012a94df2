/** Snapshots of machines: what the driver keeps of a disk, and what the store knows of it. */
import { deleteSnapshot, insertSnapshot, readySnapshot, snapshotFromRow } from "../store/snapshot-rows";
import type { Tx } from "../store/store";
import type { Actors } from "./actors";
import { type IdempotentRequest, Refusal, type Snapshots, type StoredAnswer } from "./control-plane";
import { DriverError } from "./driver";
import { Turns } from "./drivers/turns";
import type { Host } from "./host";
import { newId } from "./id";
import type { Idempotency } from "./idempotency";
import { hasPairs } from "./json-match";
import type { EventDraft } from "./lifecycle-events";
import { snapshotOf } from "./machine-snapshots";
import { type Failure, forkFailed, snapshotCreated } from "./snapshot-events";
import type { MachineActor } from "./reconciler";
import type { MachineRecord, SnapshotRecord } from "./record";

export interface SnapshotsHost {
  readonly host: Host;
  readonly actors: Actors;
  readonly idempotency: Idempotency;
}

interface ToTake {
  actor: MachineActor;
  kind: "reusable" | "fork";
  /** Default: the machine's. */
  metadata?: Record<string, unknown>;
}

/** A snapshot and the machine as it was when it was taken. */
interface Taken {
  machine: MachineRecord;
  snapshot: SnapshotRecord;
}

/** One that can be used. `facts` names what of the machine is not in it. */
interface Whole extends Taken {
  facts: Record<string, unknown>;
}

/** What is written at each end of taking a snapshot, with the events to be told. */
interface Ends {
  begun?: (taken: Taken) => EventDraft[];
  failed: (taken: Taken, failure: Failure) => EventDraft[];
}

export class EngineSnapshots implements Snapshots {
  private readonly host: Host;
  private readonly turns = new Turns();
  private readonly closing = new AbortController();
  private readonly underWay = new Set<Promise<unknown>>();

  constructor(private readonly parts: SnapshotsHost) {
    this.host = parts.host;
  }

  // ------------------------------------------------------------- what the dialects ask

  async create(
    machineId: string,
    request: IdempotentRequest,
    render: (snapshot: SnapshotRecord) => StoredAnswer,
    own: { metadata?: Record<string, unknown> } = {},
  ): Promise<StoredAnswer> {
    const actor = await this.parts.actors.get(machineId);
    return this.parts.idempotency.once(request, async (store) =>
      this.take(
        { actor, kind: "reusable", ...own },
        {
          begun: ({ snapshot }) => [snapshotCreated(snapshot, { status: "requested" })],
          failed: ({ snapshot }, failure) => [snapshotCreated(snapshot, { status: "failed", ...failure })],
        },
        async (taken) => {
          const answer = render(taken.snapshot);
          await this.host.lifecycle.transact(async (tx) => {
            await readySnapshot(tx, taken.snapshot.id, taken.snapshot.sizeBytes);
            await store(tx, answer);
            const { facts, snapshot } = taken;
            const metadata = { ...snapshot.metadata, ...facts };
            return [snapshotCreated(snapshot, { status: "succeeded", metadata })];
          });
          return answer;
        },
      ),
    );
  }

  async get(id: string): Promise<SnapshotRecord> {
    const row = await this.host.db
      .selectFrom("snapshots")
      .selectAll()
      .where("id", "=", id)
      .where("ready", "=", 1)
      .where("kind", "!=", "fork")
      .executeTakeFirst();
    if (row) return snapshotFromRow(row);
    throw new Refusal("snapshot_not_found", `snapshot ${id} does not exist`);
  }

  async list(filter: { machineId?: string; metadata?: Record<string, unknown> }): Promise<SnapshotRecord[]> {
    const { machineId, metadata } = filter;
    let query = this.host.db
      .selectFrom("snapshots")
      .selectAll()
      .where("ready", "=", 1)
      .where("kind", "!=", "fork")
      .orderBy("seq", "desc");
    if (machineId !== undefined) query = query.where("machine_id", "=", machineId);
    const snapshots = (await query.execute()).map(snapshotFromRow);
    return metadata ? snapshots.filter((snapshot) => hasPairs(snapshot.metadata, metadata)) : snapshots;
  }

  async remove(id: string): Promise<void> {
    await this.turns.take(id, async () => {
      const snapshot = await this.get(id);
      if (snapshot.kind === "hibernation") {
        const { machineId } = snapshot;
        throw inUse(machineId, `machine ${machineId} sleeps on it: wake or destroy the machine instead`);
      }
      const user = await this.userOf(id);
      if (user !== undefined) {
        throw inUse(user, `machine ${user} is being made from it: wait until it runs, or destroy it`);
      }
      await this.host.db.transaction().execute((tx) => deleteSnapshot(tx, id));
      await this.letGo(id);
    });
  }

  // ------------------------------------------------------------- what the machines ask

  /**
   * For making a machine from a snapshot, which is not removed meanwhile.
   * @throws Refusal snapshot_not_found, snapshot_not_reusable
   */
  async using<T>(
    id: string,
    work: (snapshot: SnapshotRecord, env: Record<string, string>) => Promise<T>,
  ): Promise<T> {
    return this.turns.take(id, async () => {
      const snapshot = await this.get(id);
      if (snapshot.kind === "hibernation") {
        throw new Refusal(
          "snapshot_not_reusable",
          `snapshot ${id} is a hibernation: it wakes machine ${snapshot.machineId} only. Take a snapshot of that machine instead`,
        );
      }
      return work(snapshot, await this.envOf(id));
    });
  }

  /**
   * Keeps the disk of a machine for one that is made from it, and makes that one.
   * @param work has to say in its transaction, by `ready`, that the snapshot can be used
   * @throws Refusal invalid_state, snapshot_failed
   */
  async forFork<T>(
    actor: MachineActor,
    childId: string,
    work: (taken: Whole & { env: Record<string, string>; ready: (tx: Tx) => Promise<void> }) => Promise<T>,
  ): Promise<T> {
    const failed = (taken: Taken, failure: Failure) => forkFailed(taken.machine, childId, failure);
    return this.take({ actor, kind: "fork" }, { failed }, async (taken) => {
      const { id, sizeBytes } = taken.snapshot;
      const env = await this.envOf(id);
      return work({ ...taken, env, ready: (tx) => readySnapshot(tx, id, sizeBytes) });
    });
  }

  // ------------------------------------------------------------- life of the control plane

  /** Ends what an earlier control plane left unfinished. Returns every snapshot whose disk is needed. */
  async recover(): Promise<Set<string>> {
    const rows = await this.host.db.selectFrom("snapshots").selectAll().execute();
    const failure = {
      errorCode: "interrupted",
      errorMessage: "the control plane ended while the snapshot was taken; nothing is left of it",
    };
    for (const row of rows.filter(({ ready }) => ready === 0)) {
      const snapshot = snapshotFromRow(row);
      await this.host.lifecycle.transact(async (tx) => {
        await deleteSnapshot(tx, row.id);
        // Nobody was told of a fork yet: its first event comes with its machine.
        return row.kind === "reusable" ? [snapshotCreated(snapshot, { status: "failed", ...failure })] : [];
      });
    }
    return new Set(rows.filter(({ ready }) => ready === 1).map(({ id }) => id));
  }

  async close(): Promise<void> {
    this.closing.abort(new Refusal("snapshot_failed", "the control plane stops", { retryable: true }));
    await Promise.allSettled(this.underWay);
  }

  // ------------------------------------------------------------- inside

  private take<T>(what: ToTake, ends: Ends, finish: (taken: Whole) => Promise<T>): Promise<T> {
    const taking = this.takeNow(what, ends, finish);
    this.underWay.add(taking);
    const over = () => {
      this.underWay.delete(taking);
    };
    taking.then(over, over);
    return taking;
  }

  /** The machine may go on working meanwhile; what would change its disk as a whole waits for the turn to end. */
  private async takeNow<T>(
    { actor, kind, metadata }: ToTake,
    ends: Ends,
    finish: (taken: Whole) => Promise<T>,
  ): Promise<T> {
    const { signal } = this.closing;
    signal.throwIfAborted();
    const { machine, snapshot, turn } = await actor.exclusive(async () => {
      const machine = await actor.load();
      if (machine.phase !== "running" && machine.phase !== "sleeping") throw noDiskToKeep(machine);
      const made = { id: newId(), kind, sizeBytes: 0, createdAt: this.host.now().toISOString() };
      const snapshot = snapshotOf(machine, made, metadata);
      await this.host.lifecycle.transact(async (tx) => {
        await insertSnapshot(tx, snapshot, false);
        return ends.begun?.({ machine, snapshot }) ?? [];
      });
      return { machine, snapshot, turn: actor.disk.reserve() };
    });
    try {
      await turn.ready;
      signal.throwIfAborted();
      const { sizeBytes } = await this.host.driver.snapshot(machine.id, snapshot.id, { signal });
      return await finish({ machine, snapshot: { ...snapshot, sizeBytes }, facts: actor.notKept() });
    } catch (error) {
      // The next control plane ends what this one has no time for.
      if (signal.aborted) throw signal.reason as Error;
      throw await this.failed({ machine, snapshot }, ends, error);
    } finally {
      turn.release();
    }
  }

  /** Undoes what was begun, says so in the log, and returns what to throw. */
  private async failed(taken: Taken, ends: Ends, error: unknown): Promise<Refusal> {
    const { report, lifecycle } = this.host;
    const known = error instanceof DriverError || error instanceof Refusal;
    if (!known) report(`snapshot ${taken.snapshot.id}: unexpected error`, error);
    const errorMessage = error instanceof Error ? error.message : String(error);
    const errorCode = error instanceof DriverError ? error.reason : "internal_error";
    await this.letGo(taken.snapshot.id);
    await lifecycle.transact(async (tx) => {
      await deleteSnapshot(tx, taken.snapshot.id);
      return ends.failed(taken, { errorCode, errorMessage });
    });
    if (error instanceof Refusal) return error;
    return new Refusal("snapshot_failed", `the disk could not be kept (${errorCode}): ${errorMessage}`, {
      retryable: error instanceof DriverError ? error.retryable : true,
      details: { machine_id: taken.machine.id, reason: errorCode, last_error: errorMessage },
    });
  }

  /** The next start clears up what cannot be removed now. */
  private async letGo(id: string): Promise<void> {
    try {
      await this.host.driver.forgetSnapshot(id);
    } catch (error) {
      this.host.report(`snapshot ${id}: its files could not be removed; the next start does it`, error);
    }
  }

  /** A machine whose first start has still to copy from the snapshot. */
  private async userOf(id: string): Promise<string | undefined> {
    const row = await this.host.db
      .selectFrom("machines")
      .select("id")
      .where("from_snapshot_id", "=", id)
      .where("first_running_at", "is", null)
      .where("phase", "!=", "destroyed")
      .executeTakeFirst();
    return row?.id;
  }

  private async envOf(id: string): Promise<Record<string, string>> {
    const row = await this.host.db
      .selectFrom("snapshots")
      .select("env")
      .where("id", "=", id)
      .executeTakeFirstOrThrow();
    return JSON.parse(row.env) as Record<string, string>;
  }
}

const inUse = (machineId: string, why: string): Refusal =>
  new Refusal("snapshot_in_use", `the snapshot is in use: ${why}`, { details: { machine_id: machineId } });

const noDiskToKeep = (machine: MachineRecord): Refusal =>
  new Refusal(
    "invalid_state",
    `the machine is ${machine.phase}: a snapshot is taken of a machine that runs or sleeps`,
    { details: { machine_id: machine.id, current_observed_state: machine.phase } },
  );
