/** The control plane: opens the store, brings every machine's actor to life, and answers what the dialects ask. */
import { RevisionLog } from "../events";
import { Faults } from "../faults";
import { type Database, flavorOf, machineFromRow, openStore, type StoreOptions } from "../store/store";
import { EngineWebhooks } from "../webhooks/webhooks";
import { Actors } from "./actors";
import { Capacity, type CapacityLimits, hostCapacity } from "./capacity";
import type { ControlPlane, Machines } from "./control-plane";
import type { Driver } from "./driver";
import { Executions } from "./executions";
import { MachineFiles } from "./files/machine-files";
import type { Host } from "./host";
import { Idempotency } from "./idempotency";
import { EngineLifecycleLog } from "./lifecycle-log";
import { EngineMachines } from "./machines";
import { EngineProcesses } from "./processes/processes";
import type { LifecycleEventRecord } from "./record";
import { EngineSnapshots } from "./snapshots";

export interface EngineOptions extends StoreOptions {
  driver: Driver;
  faults?: Faults;
  capacity?: CapacityLimits;
  /** After a wake, sleep is refused for so long, in milliseconds; default 0. */
  sleepHoldWindowMs?: number;
  now?: () => Date;
  /** What a webhook is sent of an event; default: the record as JSON. */
  webhookBody?: (event: LifecycleEventRecord) => string;
  /** Takes http:// webhooks of this host's loopback; default false. */
  allowHttpWebhooks?: boolean;
  /** How long the lifecycle log keeps an event, in milliseconds; default 90 days. */
  eventRetentionMs?: number;
  /** Where unexpected errors and repairs are told. */
  report?: (message: string, error?: unknown) => void;
}

/** How long a destroyed machine can still be read, in milliseconds: a day. */
const keepDestroyedMs = 86_400_000;
const keepEventsMs = 90 * 86_400_000;
const pruneEveryMs = 3_600_000;

/**
 * Opens the control plane over a state folder: every machine is driven on from where it was.
 * @throws when the store cannot be opened, or another control plane holds it.
 */
export async function openControlPlane(options: EngineOptions): Promise<ControlPlane> {
  const engine = new Engine(await openStore(options), options);
  try {
    await engine.recover();
  } catch (error) {
    await engine.close();
    throw error;
  }
  return engine;
}

class Engine implements ControlPlane {
  readonly machines: EngineMachines;
  readonly executions: Executions;
  readonly snapshots: EngineSnapshots;
  readonly processes: EngineProcesses;
  readonly files: MachineFiles;
  readonly lifecycle: EngineLifecycleLog;
  readonly webhooks: EngineWebhooks;
  private readonly actors: Actors;
  private readonly host: Host;
  private readonly idempotency: Idempotency;
  private readonly pruning: NodeJS.Timeout;
  private readonly eventRetentionMs: number;
  private closed = false;

  constructor(
    private readonly db: Database,
    options: EngineOptions,
  ) {
    const { driver } = options;
    const now = options.now ?? (() => new Date());
    const report = options.report ?? (() => undefined);
    this.eventRetentionMs = options.eventRetentionMs ?? keepEventsMs;
    this.idempotency = new Idempotency(db, now);
    this.lifecycle = new EngineLifecycleLog({
      ...{ db, now, report },
      flavor: flavorOf(options),
      webhooks: () => this.webhooks,
    });
    this.host = {
      ...{ db, driver, now, report, lifecycle: this.lifecycle },
      log: new RevisionLog(db),
      faults: options.faults ?? new Faults(),
      capacity: new Capacity(options.capacity ?? hostCapacity()),
      executions: () => this.executions,
    };
    this.actors = new Actors(this.host);
    this.executions = new Executions({
      ...{ db, driver, now, report },
      idempotency: this.idempotency,
      actor: (id) => this.actors.get(id),
    });
    const parts = { host: this.host, actors: this.actors, idempotency: this.idempotency };
    this.snapshots = new EngineSnapshots(parts);
    this.machines = new EngineMachines({
      ...parts,
      snapshots: this.snapshots,
      sleepHoldWindowMs: options.sleepHoldWindowMs ?? 0,
    });
    const use: Machines["use"] = (id, trigger, signal) => this.machines.use(id, trigger, signal);
    this.processes = new EngineProcesses({ executions: this.executions, driver, use, report });
    this.files = new MachineFiles({ driver, use });
    this.webhooks = new EngineWebhooks({
      ...{ db, now, report },
      body: options.webhookBody ?? ((event) => JSON.stringify(event)),
      event: (id) => this.lifecycle.get(id),
      allowHttpLoopback: options.allowHttpWebhooks ?? false,
    });
    this.pruning = setInterval(() => void this.prune(), pruneEveryMs).unref();
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    clearInterval(this.pruning);
    await this.snapshots.close();
    await this.actors.close();
    await this.lifecycle.close();
    await this.webhooks.close();
    await this.executions.close();
    await this.host.driver.close();
    await this.db.destroy();
  }

  // ------------------------------------------------------------- life of the control plane

  /** Finds every machine of an earlier life, starts again what died with it, and clears up what nobody knows. */
  async recover(): Promise<void> {
    const { driver, capacity, report } = this.host;
    await this.lifecycle.open();
    const rows = await this.db.selectFrom("machines").selectAll().where("phase", "!=", "destroyed").execute();
    const machines = rows.map(machineFromRow);
    const snapshots = await this.snapshots.recover();
    const swept = await driver.sweep(new Set(machines.map((machine) => machine.id)), snapshots);
    if (swept.length > 0) report(`removed what was left of ${String(swept.length)} unknown machine(s)`);
    for (const machine of machines) {
      this.actors.add(machine.id);
      if (["starting", "running", "stopping"].includes(machine.phase)) capacity.hold(machine.id, machine);
    }
    await this.executions.resume();
    await this.webhooks.resume();
    for (const machine of machines) {
      const actor = this.actors.add(machine.id);
      // What is overdue is not started again first.
      const ended = await actor.exclusive(() => actor.endIfDue());
      if (!ended && machine.phase === "running" && !(await driver.isRunning(machine.id))) {
        await actor.exclusive(() =>
          actor.processesEnded("its processes were gone when the control plane started again"),
        );
      }
      actor.poke();
    }
    await this.prune();
  }

  private async prune(): Promise<void> {
    try {
      await this.idempotency.prune();
      await this.executions.prune();
      await this.lifecycle.prune(new Date(this.host.now().getTime() - this.eventRetentionMs));
      const before = new Date(this.host.now().getTime() - keepDestroyedMs).toISOString();
      const gone = await this.db
        .selectFrom("machines")
        .select("id")
        .where("phase", "=", "destroyed")
        .where("last_transition_at", "<", before)
        .execute();
      for (const { id } of gone) {
        await this.db.transaction().execute(async (tx) => {
          await this.executions.removeOfMachine(tx, id);
          await tx.deleteFrom("revisions").where("machine_id", "=", id).execute();
          await tx.deleteFrom("machines").where("id", "=", id).execute();
        });
        this.actors.forget(id);
      }
    } catch (error) {
      this.host.report("could not clear up old records", error);
    }
  }
}
