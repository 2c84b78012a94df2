/** The control plane: opens the store, brings every machine's actor to life, and answers what the dialects ask. */
import { setTimeout as sleep } from "node:timers/promises";
import { RevisionLog } from "../events";
import { Faults } from "../faults";
import { type Database, machineFromRow, openStore, type StoreOptions } from "../store/store";
import { Capacity, type CapacityLimits, hostCapacity } from "./capacity";
import {
  type ControlPlane,
  type IdempotentRequest,
  type MachineChange,
  type Machines,
  type NewMachine,
  type PageRequest,
  type PageResult,
  type Precondition,
  Refusal,
  type Render,
  type RevisionListener,
  type StoredAnswer,
} from "./control-plane";
import { pageOf, positionOf } from "./cursor";
import { type Driver, DriverError } from "./driver";
import { Executions } from "./executions";
import { MachineFiles } from "./files/machine-files";
import { newId } from "./id";
import { Idempotency } from "./idempotency";
import { EngineLifecycleLog } from "./lifecycle-log";
import { change, desire } from "./machine";
import { EngineProcesses } from "./processes/processes";
import { type Host, MachineActor, specOf } from "./reconciler";
import { type LifecycleEventRecord, type MachineRecord, noLease } from "./record";
import { EngineSnapshots } from "./snapshots";
import { EngineWebhooks } from "../webhooks/webhooks";

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

class Engine implements ControlPlane, Machines {
  readonly machines: Machines = this;
  readonly executions: Executions;
  readonly snapshots = new EngineSnapshots();
  readonly processes: EngineProcesses;
  readonly files: MachineFiles;
  readonly lifecycle = new EngineLifecycleLog();
  readonly webhooks: EngineWebhooks;
  private readonly actors = new Map<string, MachineActor>();
  private readonly host: Host;
  private readonly idempotency: Idempotency;
  private readonly pruning: NodeJS.Timeout;
  private readonly sleepHoldWindowMs: number;
  private closed = false;

  constructor(
    private readonly db: Database,
    options: EngineOptions,
  ) {
    const now = options.now ?? (() => new Date());
    const report = options.report ?? (() => undefined);
    this.sleepHoldWindowMs = options.sleepHoldWindowMs ?? 0;
    this.idempotency = new Idempotency(db, now);
    this.executions = new Executions({
      db,
      driver: options.driver,
      idempotency: this.idempotency,
      now,
      report,
      actor: (id) => this.actor(id),
    });
    this.host = {
      db,
      log: new RevisionLog(db),
      driver: options.driver,
      faults: options.faults ?? new Faults(),
      capacity: new Capacity(options.capacity ?? hostCapacity()),
      now,
      report,
      executions: () => this.executions,
    };
    const use: Machines["use"] = (id, trigger, signal) => this.use(id, trigger, signal);
    this.processes = new EngineProcesses({
      executions: this.executions,
      driver: options.driver,
      use,
      report,
    });
    this.files = new MachineFiles({ driver: options.driver, use });
    this.webhooks = new EngineWebhooks({
      db,
      now,
      report,
      body: options.webhookBody ?? ((event) => JSON.stringify(event)),
      event: (id) => this.lifecycle.get(id),
      allowHttpLoopback: options.allowHttpWebhooks ?? false,
    });
    this.pruning = setInterval(() => void this.prune(), pruneEveryMs).unref();
  }

  // ------------------------------------------------------------- what the dialects ask

  async create(
    { size, autosleepSeconds, traits }: NewMachine,
    request: IdempotentRequest,
    render: Render<MachineRecord>,
  ): Promise<StoredAnswer> {
    if (!size) throw new Refusal("invalid_argument", "a machine needs a size");
    return this.idempotency.once(request, async (store) => {
      const at = this.host.now().toISOString();
      const machine: MachineRecord = {
        ...size,
        autosleepSeconds,
        ...{ template: "base", metadata: {}, cwd: null, egress: "allow_all", ...traits },
        ...{ lease: noLease, fromSnapshotId: null, forkedFromId: null, firstRunningAt: null },
        ...{ hibernationId: null, operation: "create", operationActor: "user" },
        id: newId(),
        desiredState: "running",
        phase: "accepted",
        reason: "created",
        lastError: null,
        retryable: false,
        revision: 1,
        lastTransitionAt: at,
        lastProgressAt: at,
        createdAt: at,
        lastActivityAt: at,
        lastWakeAt: null,
      };
      const answer = render(machine, true);
      const actor = new MachineActor(machine.id, this.host);
      this.actors.set(machine.id, actor);
      await actor.exclusive(() => actor.commit(machine, (tx) => store(tx, answer)));
      return answer;
    });
  }

  async get(id: string): Promise<MachineRecord> {
    return (await this.actor(id)).load();
  }

  async list(page: PageRequest): Promise<PageResult<MachineRecord>> {
    let query = this.db
      .selectFrom("machines")
      .selectAll()
      .where("phase", "!=", "destroyed")
      .orderBy("seq", "desc")
      .limit(page.limit + 1);
    if (page.cursor !== undefined) query = query.where("seq", "<", positionOf(page.cursor));
    return pageOf(await query.execute(), page.limit, machineFromRow);
  }

  async update(
    id: string,
    wanted: MachineChange,
    request: IdempotentRequest,
    precondition: Precondition,
    render: Render<MachineRecord>,
  ): Promise<StoredAnswer> {
    return this.mutate(id, request, precondition, render, async (machine) => {
      const next = change(machine, wanted, this.host.now().toISOString());
      if (next !== machine && machine.phase === "running") await this.resizeRunning(machine, next);
      return next;
    });
  }

  async desire(
    id: string,
    desired: "running" | "sleeping" | "destroyed",
    request: IdempotentRequest,
    precondition: Precondition,
    render: Render<MachineRecord>,
  ): Promise<StoredAnswer> {
    return this.mutate(id, request, precondition, render, (machine) => {
      if (desired === "sleeping" && machine.phase === "running") this.checkHoldWindow(machine);
      return Promise.resolve(desire(machine, desired, "requested", this.host.now().toISOString()));
    });
  }

  async fork(): Promise<never> {
    return unfinished();
  }
  async state(): Promise<never> {
    return unfinished();
  }
  async settled(): Promise<never> {
    return unfinished();
  }
  async use(..._: Parameters<Machines["use"]>): Promise<never> {
    return unfinished();
  }
  async setLease(): Promise<never> {
    return unfinished();
  }
  async setEgress(): Promise<never> {
    return unfinished();
  }
  async usage(): Promise<never> {
    return unfinished();
  }
  followAll(): never {
    return unfinished();
  }

  async follow(id: string, after: number | undefined, listener: RevisionListener): Promise<() => void> {
    const actor = await this.actor(id);
    return this.host.log.follow(id, after, () => actor.load(), listener);
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    clearInterval(this.pruning);
    await Promise.all([...this.actors.values()].map((actor) => actor.close()));
    await this.webhooks.close();
    await this.executions.close();
    await this.host.driver.close();
    await this.db.destroy();
  }

  // ------------------------------------------------------------- life of the control plane

  /** Finds every machine of an earlier life, starts again what died with it, and clears up what nobody knows. */
  async recover(): Promise<void> {
    const { driver, capacity, report } = this.host;
    const rows = await this.db.selectFrom("machines").selectAll().where("phase", "!=", "destroyed").execute();
    const machines = rows.map(machineFromRow);
    const swept = await driver.sweep(new Set(machines.map((machine) => machine.id)), new Set());
    if (swept.length > 0) report(`removed what was left of ${String(swept.length)} unknown machine(s)`);
    for (const machine of machines) {
      const actor = new MachineActor(machine.id, this.host);
      this.actors.set(machine.id, actor);
      if (["starting", "running", "stopping"].includes(machine.phase)) capacity.hold(machine.id, machine);
    }
    await this.executions.resume();
    await this.webhooks.resume();
    for (const machine of machines) {
      const actor = this.actors.get(machine.id);
      if (machine.phase === "running" && !(await driver.isRunning(machine.id))) {
        await actor?.exclusive(() =>
          actor.processesEnded("its processes were gone when the control plane started again"),
        );
      }
      actor?.poke();
    }
    await this.prune();
  }

  private async prune(): Promise<void> {
    try {
      await this.idempotency.prune();
      await this.executions.prune();
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
        this.actors.delete(id);
      }
    } catch (error) {
      this.host.report("could not clear up old records", error);
    }
  }

  // ------------------------------------------------------------- inside

  /** The actor of a machine; one for a machine that exists, found in the store where none is awake. */
  private async actor(id: string): Promise<MachineActor> {
    const awake = this.actors.get(id);
    if (awake) return awake;
    const actor = new MachineActor(id, this.host);
    await actor.load();
    const raced = this.actors.get(id);
    if (raced) return raced;
    this.actors.set(id, actor);
    return actor;
  }

  private async mutate(
    id: string,
    request: IdempotentRequest,
    precondition: Precondition,
    render: Render<MachineRecord>,
    decide: (machine: MachineRecord) => Promise<MachineRecord>,
  ): Promise<StoredAnswer> {
    const actor = await this.actor(id);
    return this.idempotency.once(request, (store) =>
      actor.exclusive(async () => {
        const machine = await actor.load();
        checkPrecondition(machine, precondition);
        const next = await decide(machine);
        const answer = render(next, next.phase !== next.desiredState);
        if (next === machine) await this.db.transaction().execute((tx) => store(tx, answer));
        else await actor.commit(next, (tx) => store(tx, answer));
        return answer;
      }),
    );
  }

  /** Applies new limits before they are recorded, so that what is answered is what holds. */
  private async resizeRunning(machine: MachineRecord, next: MachineRecord): Promise<void> {
    const { capacity, driver, faults } = this.host;
    if (!capacity.take(machine.id, next)) {
      throw new Refusal(
        "insufficient_capacity",
        capacity.neverFits(next) ?? `no room for it (${capacity.free()})`,
        {
          retryable: true,
        },
      );
    }
    try {
      const fault = faults.forTransition("resize", machine);
      if (fault && fault.stallMs > 0) await sleep(fault.stallMs);
      if (fault?.fail) throw new DriverError(fault.fail.reason, fault.fail.lastError, fault.fail.retryable);
      await driver.resize(specOf(next));
    } catch (error) {
      capacity.hold(machine.id, machine);
      await driver.resize(specOf(machine)).catch(() => undefined);
      throw new Refusal("resize_failed", error instanceof Error ? error.message : String(error), {
        retryable: error instanceof DriverError ? error.retryable : true,
      });
    }
  }

  private checkHoldWindow(machine: MachineRecord): void {
    if (this.sleepHoldWindowMs === 0 || machine.lastWakeAt === null) return;
    const eligible = Date.parse(machine.lastWakeAt) + this.sleepHoldWindowMs;
    const remainingMs = eligible - this.host.now().getTime();
    if (remainingMs <= 0) return;
    throw new Refusal("sleep_hold_window", "sleep hold window is active", {
      retryable: true,
      retryAfterMs: remainingMs,
      details: {
        last_wake_at: machine.lastWakeAt,
        hold_window_ms: String(this.sleepHoldWindowMs),
        jitter_ms: "0",
        effective_hold_window_ms: String(this.sleepHoldWindowMs),
        next_sleep_eligible_at: new Date(eligible).toISOString(),
        remaining_ms: String(remainingMs),
      },
    });
  }
}

function checkPrecondition(machine: MachineRecord, precondition: Precondition): void {
  const expected = String(machine.revision);
  if (precondition === undefined || precondition === "*" || precondition === expected) return;
  throw new Refusal("revision_mismatch", "revision mismatch", {
    retryable: true,
    details: { expected_revision: expected, provided_revision: precondition },
  });
}

const unfinished = (): never => {
  throw new Refusal("not_supported", "not built yet");
};
