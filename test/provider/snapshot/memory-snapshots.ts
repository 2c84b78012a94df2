/** Snapshots of the machines of a plane in memory, for what a real control plane cannot be made to do at a chosen moment. */
import { capabilities, type Capabilities } from "../../../provider/src/controlplane/capabilities";
import type { Context } from "../../../provider/src/context";
import {
  KeyReusedError,
  RefusedError,
  type CallOptions,
  type MutationOptions,
} from "../../../provider/src/controlplane/port";
import {
  SnapshotGoneError,
  SnapshotInUseError,
  type SnapshotPort,
  type SnapshotView,
} from "../../../provider/src/controlplane/snapshot-port";
import { core } from "../../../provider/src/snapshot/lifecycle";
import type { FakeClock } from "../seams/fake-clock";
import type { MemoryPlane } from "../seams/memory-plane";
import { World } from "../seams/world";

type Properties = Record<string, unknown>;

export class MemorySnapshots implements SnapshotPort {
  readonly there = new Map<string, SnapshotView>();
  readonly attempts: string[] = [];
  /** The next creates and gets are refused with these. */
  refuseCreate: Error[] = [];
  refuseGet: Error[] = [];
  /** True ends the caller's run at the next create: it was carried out, and nobody heard the answer. */
  loseAnswer = false;
  takesMs = 0;
  takesSleeping = true;
  /** By snapshot: the machines that need it. */
  readonly users = new Map<string, string[]>();
  private readonly keys = new Map<string, { asked: string; answer: SnapshotView }>();
  private count = 0;

  constructor(
    private readonly plane: MemoryPlane,
    private readonly clock: FakeClock,
  ) {}

  async create(
    machineId: string,
    { metadata = {} }: { metadata?: Properties },
    { idempotencyKey, signal }: MutationOptions,
  ): Promise<SnapshotView> {
    signal.throwIfAborted();
    this.attempts.push(machineId);
    const refusal = this.refuseCreate.shift();
    if (refusal) throw refusal;
    const { phase } = await this.plane.getMachine(machineId, { signal });
    const asked = JSON.stringify([machineId, metadata]);
    const known = this.keys.get(idempotencyKey);
    if (known && known.asked !== asked) throw new KeyReusedError("the key was used with another request");
    if (known) return known.answer;
    if (phase !== "running" && !(phase === "sleeping" && this.takesSleeping)) {
      throw new RefusedError(`the machine is ${phase}`, { code: "INVALID_STATE", retryable: false });
    }
    await this.clock.sleep(this.takesMs, signal);
    const id = `snap-${String((this.count += 1))}`;
    const createdAt = new Date(this.clock.now()).toISOString();
    const answer = { id, machineId, sizeBytes: 3 * 1024 * 1024, createdAt, metadata };
    this.keys.set(idempotencyKey, { asked, answer });
    this.there.set(id, answer);
    if (this.loseAnswer) {
      this.loseAnswer = false;
      throw new RefusedError("the connection was lost", { code: "client_closed", retryable: false });
    }
    return answer;
  }

  async get(id: string, { signal }: CallOptions): Promise<SnapshotView> {
    signal.throwIfAborted();
    const refusal = this.refuseGet.shift();
    if (refusal) throw refusal;
    const found = this.there.get(id);
    if (!found) throw new SnapshotGoneError(id);
    return found;
  }

  async *list({ machineId }: { machineId?: string }): AsyncGenerator<SnapshotView, void> {
    for (const view of [...this.there.values()])
      if (machineId === undefined || machineId === view.machineId) yield view;
  }

  async delete(id: string): Promise<void> {
    const users = this.users.get(id);
    if (users) throw new SnapshotInUseError(id, users);
    this.there.delete(id);
  }
}

export const urn = "urn:pulumi:dev::shop::pulumi-nodejs:dynamic/machines:Snapshot::golden";

/** A world of machines, with snapshots of them, and one resource for these. */
export class SnapshotWorld {
  readonly machines = new World();
  readonly snapshots: MemorySnapshots;

  constructor(more: Partial<Capabilities> = {}) {
    const { plane, clock } = this.machines;
    this.snapshots = new MemorySnapshots(plane, clock);
    plane.capabilities = { ...capabilities.local, ...more };
    (plane as MemoryPlane & { snapshots?: SnapshotPort }).snapshots = this.snapshots;
  }

  async machine(name = "worker"): Promise<string> {
    const args = { vcpu: 1, memoryMiB: 512, storageGiB: 5, autosleep: "never" };
    const { id } = await this.machines.create(this.machines.inputs(args, { __urn: `machine::${name}` }));
    return id;
  }

  inputs(args: Properties): Properties {
    const hidden = { __provider: "loader", __urn: urn, __stackIdentity: "stack-1" };
    const { inputs, failures } = core.check({}, { ...args, ...hidden }, { backend: "local" });
    if (failures.length > 0) throw new Error(JSON.stringify(failures));
    return inputs;
  }

  create(args: Properties): Promise<{ id: string; outs: Properties }> {
    return this.run((context) => core.create(context, this.inputs(args)));
  }

  read(id: string, state: Properties): ReturnType<typeof core.read> {
    return this.run((context) => core.read(context, id, state));
  }

  update(id: string, olds: Properties, news: Properties): Promise<Properties> {
    return this.run((context) => core.update(context, id, olds, this.inputs(news)));
  }

  remove(id: string, state: Properties): Promise<void> {
    return this.run((context) => core.remove(context, id, state));
  }

  run<T>(work: (context: Context) => Promise<T>, allowedMs = 600_000): Promise<T> {
    return this.machines.run(allowedMs, (context) => work({ ...context, name: "golden", urn }));
  }

  /** The engine shows what its state holds, as before each create of a run. */
  saw(id: string, { __generation: generation }: Properties): void {
    const { seen } = this.machines;
    seen.ids.add(id);
    if (typeof generation === "number") seen.generations.set(urn, generation);
  }

  get ids(): string[] {
    return [...this.snapshots.there.keys()];
  }
}
