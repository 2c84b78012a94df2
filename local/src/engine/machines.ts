/** Machines, as the dialects ask for them. */
import { setTimeout as sleep } from "node:timers/promises";
import type { ActorKind } from "@pulumi-machines/sdk/nullspace/rules";
import { setMachineEnv, type Tx } from "../store/store";
import type { Actors } from "./actors";
import {
  type ForkChange,
  type IdempotentRequest,
  type LeaseChange,
  type MachineChange,
  type MachineFilter,
  type Machines,
  type NewMachine,
  type PageRequest,
  type PageResult,
  type Precondition,
  Refusal,
  type Render,
  type RevisionListener,
  type StoredAnswer,
  type UseTrigger,
} from "./control-plane";
import { DriverError, type MachineUsage } from "./driver";
import type { Host } from "./host";
import { newId } from "./id";
import type { Idempotency } from "./idempotency";
import { lend } from "./lease";
import { change, desire, withEgress } from "./machine";
import { MachineList } from "./machine-list";
import { newFork, newMachine, sizeFor } from "./new-machine";
import { specOf } from "./reconciler";
import type { MachineRecord, MachineTraits, SnapshotRecord } from "./record";
import { settled } from "./settle";
import type { EngineSnapshots } from "./snapshots";
import { notRunning, use } from "./use";

type Desired = "running" | "sleeping" | "destroyed";

export interface MachinesHost {
  readonly host: Host;
  readonly actors: Actors;
  readonly idempotency: Idempotency;
  readonly snapshots: EngineSnapshots;
  /** After a wake, sleep is refused for so long, in milliseconds. */
  readonly sleepHoldWindowMs: number;
}

export class EngineMachines implements Machines {
  private readonly host: Host;
  private readonly actors: Actors;
  private readonly lists: MachineList;

  constructor(private readonly parts: MachinesHost) {
    this.host = parts.host;
    this.actors = parts.actors;
    this.lists = new MachineList(parts.host.db);
  }

  // ------------------------------------------------------------- made once for a key

  async create(
    spec: NewMachine,
    request: IdempotentRequest,
    render: Render<MachineRecord>,
  ): Promise<StoredAnswer> {
    return this.parts.idempotency.once(request, (store) => {
      const make = async (snapshot?: SnapshotRecord, env?: Record<string, string>) => {
        const machine = newMachine(newId(), spec, snapshot, this.at());
        const answer = render(machine, true);
        await this.add(machine, { ...env, ...spec.env }, (tx) => store(tx, answer));
        return answer;
      };
      return spec.fromSnapshotId === undefined
        ? make()
        : this.parts.snapshots.using(spec.fromSnapshotId, make);
    });
  }

  async fork(
    id: string,
    request: IdempotentRequest,
    render: Render<MachineRecord>,
    own?: ForkChange,
  ): Promise<StoredAnswer> {
    const parent = await this.actors.get(id);
    return this.parts.idempotency.once(request, async (store) => {
      // Before a disk is copied for nothing.
      sizeFor(own?.size, await parent.load());
      const childId = newId();
      return this.parts.snapshots.forFork(
        parent,
        childId,
        async ({ machine, snapshot, facts, env, ready }) => {
          const child = newFork(childId, { parent: machine, own }, snapshot, this.at());
          const answer = render(child, true);
          const withIt = async (tx: Tx): Promise<void> => {
            await ready(tx);
            await store(tx, answer);
          };
          await this.add(child, env, withIt, facts);
          return answer;
        },
      );
    });
  }

  async update(
    id: string,
    wanted: MachineChange,
    request: IdempotentRequest,
    precondition: Precondition,
    render: Render<MachineRecord>,
  ): Promise<StoredAnswer> {
    return this.mutate(id, request, precondition, render, async (machine) => {
      const next = change(machine, wanted, this.at());
      if (next !== machine && machine.phase === "running") await this.resizeRunning(machine, next);
      return next;
    });
  }

  async desire(
    id: string,
    desired: Desired,
    request: IdempotentRequest,
    precondition: Precondition,
    render: Render<MachineRecord>,
  ): Promise<StoredAnswer> {
    return this.mutate(id, request, precondition, render, (machine) => {
      if (desired === "sleeping" && machine.phase === "running") this.checkHoldWindow(machine);
      return Promise.resolve(desire(machine, desired, "requested", this.at()));
    });
  }

  // ------------------------------------------------------------- repeated without harm

  async state(id: string, desired: Desired, actor: ActorKind = "user"): Promise<MachineRecord> {
    return this.edit(id, (machine) => desire(machine, desired, "requested", this.at(), actor));
  }

  async setLease(id: string, wanted: LeaseChange): Promise<MachineRecord> {
    return this.edit(id, (machine) => lend(machine, wanted, this.at()));
  }

  async setEgress(id: string, egress: MachineTraits["egress"]): Promise<MachineRecord> {
    return this.edit(id, (machine) => withEgress(machine, egress, this.at()));
  }

  // ------------------------------------------------------------- read and followed

  async get(id: string): Promise<MachineRecord> {
    return (await this.actors.get(id)).load();
  }

  async list(page: PageRequest, filter: MachineFilter = {}): Promise<PageResult<MachineRecord>> {
    return this.lists.page(page, filter);
  }

  async settled(id: string, desired: Desired, signal: AbortSignal): Promise<MachineRecord> {
    return settled(this.host, await this.actors.get(id), desired, signal);
  }

  async use(id: string, trigger: UseTrigger, signal: AbortSignal): Promise<MachineRecord> {
    return use(this.host, await this.actors.get(id), trigger, signal);
  }

  async usage(id: string): Promise<MachineUsage> {
    const machine = await this.get(id);
    if (machine.phase !== "running") {
      throw notRunning(machine, `it is ${machine.phase}, and what does not run uses nothing`);
    }
    try {
      return await this.host.driver.usage({ id, vcpu: machine.vcpu });
    } catch (error) {
      if (!(error instanceof DriverError)) throw error;
      // It may have stopped just now.
      if (error.reason === "not_running") throw notRunning(machine, error.message);
      throw new Refusal("not_supported", error.message, { retryable: error.retryable });
    }
  }

  async follow(id: string, after: number | undefined, listener: RevisionListener): Promise<() => void> {
    const actor = await this.actors.get(id);
    return this.host.log.follow(id, after, () => actor.load(), listener);
  }

  followAll(listener: RevisionListener): () => void {
    return this.host.log.followAll(listener);
  }

  // ------------------------------------------------------------- inside

  /** Writes a new machine, and what belongs to it, in one transaction; its actor then goes on with it. */
  private async add(
    machine: MachineRecord,
    env: Record<string, string>,
    withIt: (tx: Tx) => Promise<void>,
    metadata: Record<string, unknown> = {},
  ): Promise<void> {
    const actor = this.actors.add(machine.id);
    const write = async (tx: Tx): Promise<void> => {
      await setMachineEnv(tx, machine.id, env);
      await withIt(tx);
    };
    try {
      await actor.exclusive(() => actor.commit(machine, write, { metadata }));
    } catch (error) {
      this.actors.forget(machine.id);
      throw error;
    }
  }

  private async edit(id: string, decide: (machine: MachineRecord) => MachineRecord): Promise<MachineRecord> {
    const actor = await this.actors.get(id);
    return actor.exclusive(async () => {
      const machine = await actor.load();
      const next = decide(machine);
      if (next !== machine) await actor.commit(next);
      return next;
    });
  }

  private async mutate(
    id: string,
    request: IdempotentRequest,
    precondition: Precondition,
    render: Render<MachineRecord>,
    decide: (machine: MachineRecord) => Promise<MachineRecord>,
  ): Promise<StoredAnswer> {
    const actor = await this.actors.get(id);
    return this.parts.idempotency.once(request, (store) =>
      actor.exclusive(async () => {
        const machine = await actor.load();
        checkPrecondition(machine, precondition);
        const next = await decide(machine);
        const answer = render(next, next.phase !== next.desiredState);
        if (next === machine) await this.host.db.transaction().execute((tx) => store(tx, answer));
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
        { retryable: true },
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
    const { sleepHoldWindowMs } = this.parts;
    if (sleepHoldWindowMs === 0 || machine.lastWakeAt === null) return;
    const eligible = Date.parse(machine.lastWakeAt) + sleepHoldWindowMs;
    const remainingMs = eligible - this.host.now().getTime();
    if (remainingMs <= 0) return;
    throw new Refusal("sleep_hold_window", "sleep hold window is active", {
      retryable: true,
      retryAfterMs: remainingMs,
      details: {
        last_wake_at: machine.lastWakeAt,
        hold_window_ms: String(sleepHoldWindowMs),
        jitter_ms: "0",
        effective_hold_window_ms: String(sleepHoldWindowMs),
        next_sleep_eligible_at: new Date(eligible).toISOString(),
        remaining_ms: String(remainingMs),
      },
    });
  }

  private at(): string {
    return this.host.now().toISOString();
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
