/**
 * One actor per machine: it drives the observed phase to the desired state, one step after the other. It keeps nothing
 * that matters in memory: after a kill -9 the next actor reads the record and goes on, since every step of a driver may
 * be repeated.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { TransitionName } from "../faults";
import { machineFromRow, saveRevision, type Tx } from "../store/store";
import { Alarm } from "./alarm";
import { Refusal } from "./control-plane";
import { nextDeadline } from "./deadlines";
import { DiskTurns } from "./disk-turns";
import { type Driver, DriverError, type MachineSpec } from "./driver";
import type { Host } from "./host";
import { lifecycleEvents } from "./lifecycle-events";
import { keepSnapshots } from "./machine-snapshots";
import { desire, move, nextStep, type Observation, restarted, type Step } from "./machine";
import type { MachineRecord } from "./record";

export type { ExecutionHooks } from "./host";

/** Processes that end by themselves more often than this within the window are not started again. */
const maxExits = 3;
const exitWindowMs = 60_000;
/** An event names so many commands, and so much of each. */
const maxNamed = 100;
const maxCommandText = 500;
/** Waits before an actor that could not write to the store tries again. */
const storeRetryMs = 1_000;

/** What is known of a change besides the records. */
export interface Facts {
  /** For the event that ends an operation. */
  metadata?: Record<string, unknown>;
  /** What the disk holds, where the machine goes to sleep. */
  diskBytes?: number;
}

export class MachineActor {
  private tail: Promise<unknown> = Promise.resolve();
  private looping: Promise<void> | undefined;
  private dirty = false;
  private closed = false;
  private operation = new AbortController();
  private readonly alarm: Alarm;
  private stopWatching: (() => void) | undefined;
  private exits: number[] = [];
  private clearing: Promise<void> | undefined;
  /** As it was last read or written. */
  private known: MachineRecord | undefined;
  /** Whoever reads or changes the machine's disk as a whole takes a turn: a start, a stop, a snapshot. */
  readonly disk = new DiskTurns();

  constructor(
    readonly id: string,
    private readonly host: Host,
  ) {
    this.alarm = new Alarm(host.now, () => {
      this.exclusive(() => this.endIfDue())
        .catch((error: unknown) => {
          host.report(`machine ${id}: could not end at its deadline`, error);
        })
        // What was active meanwhile has a later deadline now.
        .finally(() => {
          if (!this.closed) this.poke();
        });
    });
  }

  /** Runs one at a time for this machine. Whoever changes the record reads it again inside. */
  exclusive<T>(work: () => Promise<T>): Promise<T> {
    const result = this.tail.then(work);
    this.tail = result.catch(() => undefined);
    return result;
  }

  /** @throws Refusal machine_not_found */
  async load(): Promise<MachineRecord> {
    const row = await this.host.db
      .selectFrom("machines")
      .selectAll()
      .where("id", "=", this.id)
      .executeTakeFirst();
    if (!row) throw new Refusal("machine_not_found", `machine ${this.id} does not exist`);
    return (this.known = machineFromRow(row));
  }

  /**
   * Writes a new revision, what belongs to it, and the events that report it, in one transaction; then tells the logs and
   * goes on. Call it inside `exclusive`.
   */
  async commit(
    next: MachineRecord,
    withIt?: (tx: Tx) => Promise<void>,
    { metadata, diskBytes = 0 }: Facts = {},
  ): Promise<void> {
    const before = await this.before(next);
    let unneeded: string | undefined;
    await this.host.lifecycle.transact(async (tx) => {
      await saveRevision(tx, next);
      unneeded = await keepSnapshots(tx, { before, after: next }, diskBytes);
      await withIt?.(tx);
      return lifecycleEvents(before, next, metadata);
    });
    this.known = next;
    if (unneeded !== undefined) this.forgetSnapshot(unneeded);
    this.host.log.publish(next);
    if (next.phase === "destroying") this.operation.abort();
    this.poke();
  }

  /** What cannot be removed now, the next start removes. */
  private forgetSnapshot(id: string): void {
    this.clearing = this.host.driver.forgetSnapshot(id).catch((error: unknown) => {
      this.host.report(`machine ${this.id}: the snapshot that it was made from could not be removed`, error);
    });
  }

  /** The revision that this one follows. */
  private async before(next: MachineRecord): Promise<MachineRecord | undefined> {
    if (next.revision === 1) return undefined;
    return this.known?.revision === next.revision - 1 ? this.known : this.load();
  }

  /** Says that there may be something to do. */
  poke(): void {
    this.dirty = true;
    this.looping ??= this.loop().finally(() => {
      this.looping = undefined;
      if (this.dirty && !this.closed) this.poke();
    });
  }

  /** Counts as activity: autosleep begins anew. Call it inside `exclusive`. */
  async touch(tx: Tx): Promise<void> {
    const at = this.host.now().toISOString();
    await tx.updateTable("machines").set({ last_activity_at: at }).where("id", "=", this.id).execute();
  }

  async close(): Promise<void> {
    this.closed = true;
    this.alarm.clear();
    this.stopWatching?.();
    this.operation.abort();
    await this.looping;
    await this.tail;
    await this.clearing;
  }

  private async loop(): Promise<void> {
    while (this.dirty && !this.closed) {
      this.dirty = false;
      // Before the record is read: a deletion that comes from now on aborts what is decided on it.
      this.operation = new AbortController();
      try {
        const machine = await this.load();
        const step = nextStep(machine);
        if (this.closed) return;
        if (step === "rest") this.rest(machine);
        else {
          await this.take(step, machine);
          this.dirty = true;
        }
      } catch (error) {
        if (error instanceof Refusal && error.code === "machine_not_found") return;
        this.host.report(`machine ${this.id}: could not go on, trying again`, error);
        this.dirty = true;
        await sleep(storeRetryMs, undefined, { signal: this.operation.signal }).catch(() => undefined);
      }
    }
  }

  private async take(step: Exclude<Step, "rest">, machine: MachineRecord): Promise<void> {
    const { signal } = this.operation;
    this.alarm.clear();
    try {
      switch (step) {
        case "place":
          return await this.place(machine, signal);
        case "start":
          return await this.start(machine, signal);
        case "stop":
          return await this.stop(machine, signal);
        case "destroy":
          return await this.destroy(machine, signal);
      }
    } catch (error) {
      // A deletion, or the end of the control plane, came in between: the record says what is next.
      if (signal.aborted) return;
      await this.fail(error);
    }
  }

  private async place(machine: MachineRecord, signal: AbortSignal): Promise<void> {
    const { capacity } = this.host;
    if (machine.phase !== "placement_pending") {
      await this.moveTo(machine, { phase: "placement_pending", reason: "waiting for room" });
      return;
    }
    await this.rehearse("place", machine, signal);
    const deadline = Date.now() + capacity.limits.placementTimeoutMs;
    while (!capacity.take(this.id, machine)) {
      const never = capacity.neverFits(machine);
      const leftMs = deadline - Date.now();
      if (never !== undefined || leftMs <= 0) {
        throw new DriverError("insufficient_capacity", never ?? `no room for it (${capacity.free()})`, true);
      }
      await capacity.changed(leftMs, signal);
      signal.throwIfAborted();
    }
    await this.moveTo(machine, { phase: "starting", reason: "placed" });
  }

  private async start(machine: MachineRecord, signal: AbortSignal): Promise<void> {
    const { driver, capacity } = this.host;
    await this.rehearse("start", machine, signal);
    await this.disk.take(async () => {
      signal.throwIfAborted();
      await driver.start(specOf(machine), { signal });
    });
    await this.exclusive(async () => {
      const now = await this.load();
      if (now.phase !== "starting") return;
      if (!sameSize(now, machine)) {
        capacity.hold(this.id, now);
        await driver.resize(specOf(now));
      }
      await this.commit(move(now, { phase: "running", reason: runningReason(driver) }, this.at()));
    });
  }

  private async stop(machine: MachineRecord, signal: AbortSignal): Promise<void> {
    if (machine.phase !== "stopping") {
      await this.moveTo(machine, { phase: "stopping", reason: "sleep requested" });
      return;
    }
    await this.rehearse("stop", machine, signal);
    this.unwatch();
    const facts = await this.disk.take(async () => {
      const facts = { metadata: this.notKept(), diskBytes: await this.diskBytes(machine) };
      this.host.executions().machineStops(this.id, "the machine went to sleep");
      await this.host.driver.stop(this.id);
      return facts;
    });
    this.host.capacity.release(this.id);
    await this.moveTo(machine, { phase: "sleeping", reason: machine.reason }, facts);
  }

  private async destroy(machine: MachineRecord, signal: AbortSignal): Promise<void> {
    await this.rehearse("destroy", machine, signal);
    this.unwatch();
    await this.disk.take(async () => {
      this.host.executions().machineStops(this.id, "the machine was destroyed");
      await this.host.driver.destroy(this.id);
    });
    this.host.capacity.release(this.id);
    await this.moveTo(machine, { phase: "destroyed", reason: "deleted" });
  }

  /** Waits or fails as the fault script says. */
  private async rehearse(on: TransitionName, machine: MachineRecord, signal: AbortSignal): Promise<void> {
    const fault = this.host.faults.forTransition(on, machine);
    if (!fault) return;
    if (fault.stallMs > 0) await sleep(fault.stallMs, undefined, { signal });
    if (fault.fail) throw new DriverError(fault.fail.reason, fault.fail.lastError, fault.fail.retryable);
  }

  /** Commits a move unless the machine has moved on by itself meanwhile. */
  private async moveTo(machine: MachineRecord, to: Observation, facts?: Facts): Promise<void> {
    await this.exclusive(async () => {
      const now = await this.load();
      if (now.phase === machine.phase) await this.commit(move(now, to, this.at()), undefined, facts);
    });
  }

  /** What runs and is in no snapshot: a sleep ends it, and neither a wake nor a fork brings it back. */
  notKept(): Record<string, unknown> {
    const commands = this.host.executions().runningCommands(this.id);
    if (commands.length === 0) return {};
    const named = commands.slice(0, maxNamed).map(({ pid, command }) => ({
      pid,
      command: command.length > maxCommandText ? `${command.slice(0, maxCommandText)}...` : command,
    }));
    return {
      processes_not_kept: named,
      ...(named.length < commands.length ? { processes_not_kept_count: commands.length } : {}),
    };
  }

  /** As well as the driver can tell: a sleep does not fail for it. */
  private async diskBytes({ id, vcpu }: MachineRecord): Promise<number> {
    return this.host.driver.usage({ id, vcpu }).then(
      ({ diskUsedBytes }) => diskUsedBytes,
      () => 0,
    );
  }

  private async fail(error: unknown): Promise<void> {
    const { driver, capacity, report } = this.host;
    if (!(error instanceof DriverError)) report(`machine ${this.id}: unexpected error`, error);
    const machine = await this.load();
    this.unwatch();
    if (machine.phase !== "destroying") {
      // Half-started processes would run without anybody knowing.
      await driver.stop(this.id).catch((stopError: unknown) => {
        report(`machine ${this.id}: could not clear up after a failure`, stopError);
      });
    }
    capacity.release(this.id);
    const words = error instanceof Error ? error.message : String(error);
    await this.moveTo(machine, {
      phase: "failed",
      reason: error instanceof DriverError ? error.reason : "internal_error",
      lastError: words,
      retryable: error instanceof DriverError ? error.retryable : true,
    });
  }

  private rest(machine: MachineRecord): void {
    const hooks = this.host.executions();
    if (machine.phase === "running") {
      this.watch();
      hooks.machineRuns(this.id);
    }
    this.alarm.set(nextDeadline(machine, hooks.isBusy(this.id))?.atMs);
    if (machine.phase === "running") return;
    hooks.machineRests(machine);
    if (machine.phase === "destroyed") void this.close();
  }

  private watch(): void {
    if (this.stopWatching) return;
    const { driver, report } = this.host;
    const ended = (words: string) => {
      this.unwatch();
      this.exclusive(() => this.processesEnded(words)).catch((error: unknown) => {
        report(`machine ${this.id}: could not record that its processes ended`, error);
      });
    };
    this.stopWatching = driver.onExit(this.id, ended);
    // They may have ended before anybody watched.
    driver.isRunning(this.id).then(
      (runs) => {
        if (!runs && this.stopWatching) ended("its processes ended right after the start");
      },
      (error: unknown) => {
        report(`machine ${this.id}: could not tell whether it runs`, error);
      },
    );
  }

  private unwatch(): void {
    this.stopWatching?.();
    this.stopWatching = undefined;
  }

  /** The machine's processes are gone though nobody stopped it: start it again from its disk, within reason. */
  async processesEnded(words: string): Promise<void> {
    const machine = await this.load();
    if (machine.phase !== "running" || this.closed) return;
    const now = Date.now();
    this.exits = [...this.exits.filter((at) => now - at < exitWindowMs), now];
    if (this.exits.length > maxExits) {
      this.host.capacity.release(this.id);
      await this.commit(
        move(
          machine,
          { phase: "failed", reason: "crash_loop", lastError: words, retryable: true },
          this.at(),
        ),
      );
    } else {
      await this.commit(restarted(machine, words, this.at()));
    }
  }

  /** Ends the machine's run, or the machine, where its lease or its idleness says so. True when it did. */
  async endIfDue(): Promise<boolean> {
    const machine = await this.load();
    if (this.closed) return false;
    const deadline = nextDeadline(machine, this.host.executions().isBusy(this.id));
    if (!deadline || deadline.atMs > this.host.now().getTime()) return false;
    await this.commit(desire(machine, deadline.desired, deadline.reason, this.at(), "system"));
    return true;
  }

  private at(): string {
    return this.host.now().toISOString();
  }
}

export const specOf = (machine: MachineRecord): MachineSpec => ({
  id: machine.id,
  hostname: `dm-${machine.id}`.slice(0, 63),
  vcpu: machine.vcpu,
  memoryMiB: machine.memoryMiB,
  storageGiB: machine.storageGiB,
  network: machine.egress === "deny_all" ? "none" : "host",
  ...(machine.fromSnapshotId === null ? {} : { fromSnapshotId: machine.fromSnapshotId }),
});

const sameSize = (a: MachineRecord, b: MachineRecord): boolean =>
  a.vcpu === b.vcpu && a.memoryMiB === b.memoryMiB && a.storageGiB === b.storageGiB;

/** "ready", and what of the size the host cannot enforce. */
const runningReason = (driver: Driver): string =>
  driver.notEnforced.length === 0 ? "ready" : `ready; not enforced here: ${driver.notEnforced.join(", ")}`;
