/**
 * The driver seam, held by a test: machines are entries in a table that outlives the control plane, as processes
 * do, and each operation can be made to wait or to fail.
 */
import { type Driver, DriverError, type MachineSpec } from "../../../local/src/engine/driver";

export type Operation = "start" | "stop" | "destroy" | "resize";

export class Hosted {
  running = false;
  spec: MachineSpec | undefined;
  starts = 0;
}

/** What survives a control plane. */
export class World {
  readonly machines = new Map<string, Hosted>();

  of(id: string): Hosted {
    const hosted = this.machines.get(id) ?? new Hosted();
    this.machines.set(id, hosted);
    return hosted;
  }
}

export class ScriptedDriver implements Driver {
  readonly name = "null";
  readonly notEnforced: string[] = [];
  readonly warnings: string[] = [];
  readonly calls: string[] = [];
  /** Runs before an operation takes effect; it may wait or throw. */
  before: (operation: Operation, id: string, signal?: AbortSignal) => Promise<void> | void = () => undefined;
  private readonly listeners = new Map<string, (words: string) => void>();

  constructor(readonly world: World = new World()) {}

  async start(spec: MachineSpec, { signal }: { signal: AbortSignal }): Promise<void> {
    await this.begin("start", spec.id, signal);
    const hosted = this.world.of(spec.id);
    if (!hosted.running) hosted.starts++;
    hosted.running = true;
    hosted.spec = spec;
  }

  isRunning(id: string): Promise<boolean> {
    return Promise.resolve(this.world.machines.get(id)?.running ?? false);
  }

  onExit(id: string, listener: (words: string) => void): () => void {
    this.listeners.set(id, listener);
    return () => this.listeners.delete(id);
  }

  isWatched(id: string): boolean {
    return this.listeners.has(id);
  }

  /** The machine's processes end by themselves. */
  crash(id: string, words: string): void {
    this.world.of(id).running = false;
    const listener = this.listeners.get(id);
    this.listeners.delete(id);
    listener?.(words);
  }

  async stop(id: string): Promise<void> {
    await this.begin("stop", id);
    const hosted = this.world.machines.get(id);
    if (hosted) hosted.running = false;
  }

  async destroy(id: string): Promise<void> {
    await this.begin("destroy", id);
    this.world.machines.delete(id);
  }

  async resize(spec: MachineSpec): Promise<void> {
    await this.begin("resize", spec.id);
    this.world.of(spec.id).spec = spec;
  }

  exec(): Promise<never> {
    return Promise.reject(new DriverError("no_exec", "this driver runs no commands", false));
  }

  attachExec(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  forgetExec(): Promise<void> {
    return Promise.resolve();
  }

  snapshot(): Promise<{ sizeBytes: number }> {
    return Promise.resolve({ sizeBytes: 0 });
  }

  forgetSnapshot(): Promise<void> {
    return Promise.resolve();
  }

  usage(): Promise<never> {
    return Promise.reject(new DriverError("not_supported", "it runs nothing", false));
  }

  pipe(): Promise<never> {
    return Promise.reject(new DriverError("not_supported", "it runs nothing", false));
  }

  sweep(known: ReadonlySet<string>): Promise<string[]> {
    const unknown = [...this.world.machines.keys()].filter((id) => !known.has(id));
    for (const id of unknown) this.world.machines.delete(id);
    return Promise.resolve(unknown);
  }

  close(): Promise<void> {
    this.listeners.clear();
    return Promise.resolve();
  }

  private async begin(operation: Operation, id: string, signal?: AbortSignal): Promise<void> {
    this.calls.push(`${operation} ${id}`);
    await this.before(operation, id, signal);
  }
}
