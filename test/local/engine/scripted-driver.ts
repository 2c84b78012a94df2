/**
 * The driver seam, held by a test: machines are entries in a table that outlives the control plane, as processes
 * do, and each operation can be made to wait or to fail.
 */
import {
  type Driver,
  DriverError,
  type ExecExit,
  type ExecSpec,
  type MachineSpec,
  type MachineUsage,
  type RunningExec,
} from "../../../local/src/engine/driver";

export type Operation = "start" | "stop" | "destroy" | "resize" | "snapshot";

export class Hosted {
  running = false;
  spec: MachineSpec | undefined;
  starts = 0;
  /** What stands in for its files: whatever a test puts there. */
  disk: string | undefined;
  /** End its commands. */
  kills: (() => void)[] = [];
}

/** What survives a control plane. */
export class World {
  readonly machines = new Map<string, Hosted>();
  /** The disks that were kept, by id. */
  readonly snapshots = new Map<string, string>();

  /** As a kill -9 at this moment leaves it: the processes of machines run on. */
  copy(): World {
    const copy = new World();
    for (const [id, hosted] of this.machines) copy.machines.set(id, Object.assign(new Hosted(), hosted));
    for (const [id, disk] of this.snapshots) copy.snapshots.set(id, disk);
    return copy;
  }

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
  /** Runs when an operation has taken effect, before anybody knows. */
  after: (operation: Operation) => void = () => undefined;
  private readonly listeners = new Map<string, (words: string) => void>();

  constructor(readonly world: World = new World()) {}

  async start(spec: MachineSpec, { signal }: { signal: AbortSignal }): Promise<void> {
    await this.begin("start", spec.id, signal);
    const hosted = this.world.of(spec.id);
    if (!hosted.running) hosted.starts++;
    if (hosted.disk === undefined && spec.fromSnapshotId !== undefined) {
      const disk = this.world.snapshots.get(spec.fromSnapshotId);
      if (disk === undefined) throw new DriverError("no_snapshot", `no ${spec.fromSnapshotId}`, false);
      hosted.disk = disk;
    }
    hosted.disk ??= "empty";
    hosted.running = true;
    hosted.spec = spec;
    this.after("start");
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
    if (!hosted) return;
    hosted.running = false;
    for (const kill of hosted.kills.splice(0)) kill();
    this.after("stop");
  }

  async destroy(id: string): Promise<void> {
    await this.begin("destroy", id);
    for (const kill of this.world.machines.get(id)?.kills ?? []) kill();
    this.world.machines.delete(id);
    this.after("destroy");
  }

  async resize(spec: MachineSpec): Promise<void> {
    await this.begin("resize", spec.id);
    this.world.of(spec.id).spec = spec;
  }

  /** A command that says nothing and runs until it is killed, or its machine goes. */
  exec({ machineId }: ExecSpec): Promise<RunningExec> {
    const { promise, resolve } = Promise.withResolvers<ExecExit>();
    const end = (exit: ExecExit) => {
      resolve(exit);
      return Promise.resolve();
    };
    this.world.of(machineId).kills.push(() => void end({ exitCode: 137, signal: 9 }));
    return Promise.resolve({
      stdoutPath: "/dev/null",
      stderrPath: "/dev/null",
      exited: promise,
      kill: () => end({ exitCode: 137, signal: 9 }),
      writeStdin: () => Promise.resolve(),
      closeStdin: () => Promise.resolve(),
      resize: () => Promise.resolve(),
    });
  }

  attachExec(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  forgetExec(): Promise<void> {
    return Promise.resolve();
  }

  async snapshot(
    id: string,
    snapshotId: string,
    { signal }: { signal: AbortSignal },
  ): Promise<{ sizeBytes: number }> {
    await this.begin("snapshot", id, signal);
    const disk = this.world.machines.get(id)?.disk;
    if (disk === undefined) throw new DriverError("no_disk", `${id} has no disk`, false);
    this.world.snapshots.set(snapshotId, disk);
    this.after("snapshot");
    return { sizeBytes: disk.length };
  }

  forgetSnapshot(id: string): Promise<void> {
    this.calls.push(`forgetSnapshot ${id}`);
    this.world.snapshots.delete(id);
    return Promise.resolve();
  }

  usage({ id }: { id: string }): Promise<MachineUsage> {
    const hosted = this.world.machines.get(id);
    if (!hosted?.running) return Promise.reject(new DriverError("not_running", `${id} does not run`, true));
    return Promise.resolve({
      ...{ cpuPercent: 1, memoryUsedBytes: 2, networkRxBytes: 3, networkTxBytes: 4 },
      diskUsedBytes: hosted.disk?.length ?? 0,
    });
  }

  pipe(): Promise<never> {
    return Promise.reject(new DriverError("not_supported", "it runs nothing", false));
  }

  sweep(known: ReadonlySet<string>, knownSnapshots: ReadonlySet<string>): Promise<string[]> {
    for (const id of this.world.snapshots.keys()) {
      if (!knownSnapshots.has(id)) this.world.snapshots.delete(id);
    }
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
