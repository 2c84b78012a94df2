/**
 * A control plane in memory, on a clock that the test moves: the machine's life as the contract tells it, idempotency
 * keys, a status stream, and failures that a test asks for by name.
 */
import { capabilities, type Capabilities } from "../../../provider/src/controlplane/capabilities";
import type { CommandPort } from "../../../provider/src/controlplane/command-port";
import { FilesByShell } from "../../../provider/src/controlplane/files-by-shell";
import { passes } from "../../../provider/src/controlplane/machine-filter";
import {
  KeyReusedError,
  MachineGoneError,
  RefusedError,
  type CallOptions,
  type ControlPlane,
  type MachineChange,
  type MachineDetails,
  type MachineFilter,
  type MachineSpec,
  type MachineView,
  type MutationOptions,
} from "../../../provider/src/controlplane/port";
import { can, isPhase, isSettled, type MachineAction } from "@pulumi-machines/sdk/dedalus/rules";
import { parseDuration } from "@pulumi-machines/sdk/duration";
import type { FakeClock } from "./fake-clock";

export interface Failure {
  reason: string;
  lastError: string;
  retryable: boolean;
}

const noCommands = (): Promise<never> =>
  Promise.reject(new RefusedError("no commands here", { code: "not_supported", retryable: false }));

export class MemoryPlane implements ControlPlane {
  readonly backend = "dedalus";
  /** What it says that it can; it keeps metadata and tags whatever this says. */
  capabilities: Capabilities = capabilities.dedalus;
  /** Nothing runs in these machines. */
  readonly commands: CommandPort = { keepsKeys: true, run: noCommands, follow: noCommands, end: noCommands };
  readonly files = new FilesByShell(this.commands);
  /** The next starts fail like this, one after the other. */
  failStarts: Failure[] = [];
  /** The next calls are refused with these, by the verb they are for. */
  refuse: Partial<Record<"create" | "get" | MachineAction, RefusedError[]>> = {};
  /** True ends the caller's run at the next create: it was carried out, and nobody heard the answer. */
  loseCreateAnswer = false;
  /** True ends each stream after one event. */
  dropStreams = false;
  /** Called right after a machine came to run, before anybody was told. */
  onRunning: (id: string) => void = () => undefined;
  /** How long a phase lasts, in milliseconds; Infinity never ends. */
  startMs = 1_000;
  readonly calls: string[] = [];
  private readonly machines = new Map<string, MachineView>();
  private readonly revisions = new Map<string, MachineView[]>();
  private readonly specs = new Map<string, MachineSpec>();
  private readonly keys = new Map<string, { body: string; answer: MachineView }>();
  private listeners = new Set<() => void>();
  private count = 0;

  constructor(private readonly clock: FakeClock) {}

  get living(): MachineView[] {
    return [...this.machines.values()].filter((view) => view.phase !== "destroyed");
  }

  /** What the machine was asked for as, with the settings that were changed since. */
  specOf(id: string): MachineSpec {
    return this.specs.get(id) ?? {};
  }

  async createMachine(spec: MachineSpec, options: MutationOptions): Promise<MachineView> {
    this.enter("create", options);
    const body = JSON.stringify(spec);
    const known = this.keys.get(options.idempotencyKey);
    if (known && known.body !== body) throw new KeyReusedError("the key was used with another request");
    if (known) return known.answer;
    const id = `dm-${String((this.count += 1))}`;
    const answer: MachineView = {
      id,
      phase: "accepted",
      desiredState: "running",
      reason: "",
      retryable: false,
      revision: "1",
      vcpu: spec.vcpu ?? 1,
      memoryMiB: spec.memoryMiB ?? 2048,
      storageGiB: spec.storageGiB ?? 10,
      autosleepSeconds: spec.autosleep === undefined ? 300 : parseDuration(spec.autosleep),
      lastTransitionAt: new Date(this.clock.now()).toISOString(),
    };
    this.machines.set(id, answer);
    this.specs.set(id, spec);
    this.revisions.set(id, [answer]);
    this.keys.set(options.idempotencyKey, { body, answer });
    this.start(id);
    if (this.loseCreateAnswer) {
      this.loseCreateAnswer = false;
      throw new RefusedError("the connection was lost", { code: "client_closed", retryable: false });
    }
    return answer;
  }

  async getMachine(id: string, options: CallOptions): Promise<MachineView> {
    this.enter("get", options);
    return this.must(id);
  }

  async describeMachine(id: string, options: CallOptions): Promise<MachineDetails> {
    return this.detailed(await this.getMachine(id, options));
  }

  async *listMachines(filter: MachineFilter, { signal }: CallOptions): AsyncGenerator<MachineDetails, void> {
    signal.throwIfAborted();
    for (const view of [...this.machines.values()]) {
      const details = this.detailed(view);
      if (passes(details, filter)) yield details;
    }
  }

  async updateMachine(id: string, change: MachineChange, options: MutationOptions): Promise<MachineView> {
    this.allow("update", id, options);
    const { vcpu, memoryMiB, storageGiB, autosleep, lifetime, network } = change;
    this.specs.set(id, { ...this.specs.get(id), ...(lifetime && { lifetime }), ...(network && { network }) });
    const sizes = Object.entries({ vcpu, memoryMiB, storageGiB }).filter(([, size]) => size !== undefined);
    this.set(id, {
      ...Object.fromEntries(sizes),
      ...(autosleep ? { autosleepSeconds: parseDuration(autosleep) } : {}),
    });
    return this.must(id);
  }

  async sleepMachine(id: string, options: MutationOptions): Promise<MachineView> {
    this.allow("sleep", id, options);
    this.fallAsleep(id);
    return this.must(id);
  }

  async wakeMachine(id: string, options: MutationOptions): Promise<MachineView> {
    this.allow("wake", id, options);
    if (this.must(id).phase !== "running") {
      this.set(id, { phase: "accepted", desiredState: "running", reason: "", retryable: false });
      this.start(id);
    } else this.set(id, { desiredState: "running" });
    return this.must(id);
  }

  async deleteMachine(id: string, options: MutationOptions): Promise<MachineView | undefined> {
    this.enter("delete", options);
    const view = this.machines.get(id);
    if (!view || view.phase === "destroyed") return undefined;
    this.set(id, { phase: "destroying", desiredState: "destroyed" });
    this.clock.after(100, () => this.set(id, { phase: "destroyed" }));
    return this.must(id);
  }

  async *watchMachine(id: string, options: CallOptions): AsyncGenerator<MachineView, void> {
    const revisions = this.revisions.get(id);
    if (!revisions) throw new MachineGoneError(id);
    for (let at = revisions.length - 1; ;) {
      options.signal.throwIfAborted();
      const view = revisions[at];
      if (!view) {
        await this.changed(options.signal);
        continue;
      }
      yield view;
      at += 1;
      if (this.dropStreams || (at === revisions.length && isSettled(view.phase, view.desiredState))) return;
    }
  }

  async verify(): Promise<void> {
    // It is what it is.
  }

  async close(): Promise<void> {
    // Nothing is held open.
  }

  /** What its own autosleep, or another program, does to a machine. */
  fallAsleep(id: string): void {
    this.set(id, { phase: "stopping", desiredState: "sleeping" });
    this.clock.after(200, () => {
      if (this.must(id).phase === "stopping") this.set(id, { phase: "sleeping" });
    });
  }

  destroyBehindTheBack(id: string): void {
    this.set(id, { phase: "destroyed", desiredState: "destroyed" });
  }

  set(id: string, change: Partial<MachineView>): void {
    const view = this.machines.get(id);
    if (!view) throw new MachineGoneError(id);
    const revision = String(Number(view.revision) + 1);
    const lastTransitionAt = new Date(this.clock.now()).toISOString();
    const next = { ...view, ...change, revision, lastTransitionAt };
    this.machines.set(id, next);
    this.revisions.get(id)?.push(next);
    for (const tell of [...this.listeners]) tell();
  }

  private start(id: string): void {
    this.clock.after(10, () => this.onItsWay(id, "placement_pending"));
    this.clock.after(20, () => this.onItsWay(id, "starting"));
    if (this.startMs === Infinity) return;
    this.clock.after(this.startMs, () => {
      if (this.machines.get(id)?.phase !== "starting") return;
      const failure = this.failStarts.shift();
      this.set(id, failure ? { phase: "failed", ...failure } : { phase: "running" });
      if (!failure) this.onRunning(id);
    });
  }

  private onItsWay(id: string, phase: string): void {
    const now = this.machines.get(id)?.phase;
    if (now === "accepted" || now === "placement_pending") this.set(id, { phase });
  }

  private detailed(view: MachineView): MachineDetails {
    const { template, cwd, metadata = {}, tags = {}, lifetime, ephemeral } = this.specs.get(view.id) ?? {};
    return {
      ...view,
      metadata,
      tags,
      ...(template === undefined ? {} : { template }),
      ...(cwd === undefined ? {} : { cwd }),
      ...(lifetime === undefined ? {} : { lifetime }),
      ...(ephemeral === undefined ? {} : { ephemeral }),
    };
  }

  private must(id: string): MachineView {
    const view = this.machines.get(id);
    if (!view || view.phase === "destroyed") throw new MachineGoneError(id);
    return view;
  }

  private enter(verb: "create" | "get" | MachineAction, { signal }: CallOptions): void {
    signal.throwIfAborted();
    this.calls.push(verb);
    const refusal = this.refuse[verb]?.shift();
    if (refusal) throw refusal;
  }

  private allow(action: MachineAction, id: string, options: CallOptions): void {
    this.enter(action, options);
    const { phase } = this.must(id);
    if (isPhase(phase) && can(action, phase)) return;
    throw new RefusedError(`${action} is not possible while ${phase}`, {
      code: "INVALID_STATE",
      retryable: false,
    });
  }

  private changed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const tell = (): void => {
        this.listeners.delete(tell);
        resolve();
      };
      this.listeners.add(tell);
      signal.addEventListener("abort", tell, { once: true });
    });
  }
}
