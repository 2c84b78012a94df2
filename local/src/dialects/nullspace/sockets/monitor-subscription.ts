/**
 * One subscription of the monitor. It knows of each machine only the newest revision: a slow reader misses what is between,
 * and nothing piles up for it.
 */
import type { ControlPlane } from "../../../engine/control-plane";
import type { MachineRecord } from "../../../engine/record";
import { machineId } from "../ids";
import { machineState } from "../machine-state";
import { machineInfo, metrics } from "../render";
import { processInfo } from "../render-process";
import { toWireError } from "../refusals";
import type { Connection } from "./connection";

const defaultIntervalMs = 5_000;
/** Characters of the first frame: the vendor's client takes none above 1 MiB. Other machines follow one by one. */
const maxSnapshotLength = 262_144;
const pageMachines = 200;

export interface Asked {
  id: string;
  /** Milliseconds between measurements; default 5000. */
  intervalMs?: number;
  /** Tell of the commands of each machine, too. */
  processes: boolean;
}

export class MonitorSubscription {
  /** Machines that the reader was told of and that are still there, with the revision that it was told. */
  private readonly told = new Map<string, number>();
  /** The newest of what it was not told yet. */
  private readonly changed = new Map<string, MachineRecord>();
  private stopFollowing: (() => void) | undefined;
  private timer: NodeJS.Timeout | undefined;
  private telling = false;
  private measuring = false;
  private stopped = false;

  constructor(
    private readonly connection: Connection,
    private readonly controlPlane: ControlPlane,
    private readonly asked: Asked,
  ) {}

  /** Resolves when every machine is known; the first frame is out long before. */
  async start(): Promise<void> {
    const { machines } = this.controlPlane;
    // First: what changes while the list is read is told after it.
    this.telling = true;
    this.stopFollowing = machines.followAll((machine) => {
      this.changed.set(machine.id, machine);
      void this.tellChanges();
    });
    const page = await machines.list({ limit: pageMachines });
    this.send("snapshot", { machines: this.firstOf(page.items) });
    for (let cursor = page.nextCursor; cursor !== undefined && !this.stopped;) {
      const next = await machines.list({ limit: pageMachines, cursor });
      this.queue(next.items);
      cursor = next.nextCursor;
    }
    if (this.stopped) return;
    this.telling = false;
    void this.tellChanges();
    void this.measure();
    this.timer = setInterval(() => void this.measure(), this.asked.intervalMs ?? defaultIntervalMs).unref();
  }

  stop(): void {
    this.stopped = true;
    clearInterval(this.timer);
    this.stopFollowing?.();
    this.changed.clear();
  }

  /** What fits of the machines; the others wait their turn. */
  private firstOf(page: readonly MachineRecord[]): object[] {
    const shown: object[] = [];
    const now = new Date();
    let length = 0;
    for (const [at, machine] of page.entries()) {
      const info = machineInfo(machine, now);
      length += JSON.stringify(info).length;
      if (length > maxSnapshotLength) {
        this.queue(page.slice(at));
        break;
      }
      this.told.set(machine.id, machine.revision);
      shown.push(info);
    }
    return shown;
  }

  /** What was committed since is newer. */
  private queue(page: readonly MachineRecord[]): void {
    for (const machine of page) {
      if (!this.changed.has(machine.id)) this.changed.set(machine.id, machine);
    }
  }

  /** One machine after the other, each as it is by then. */
  private async tellChanges(): Promise<void> {
    if (this.telling || this.stopped) return;
    this.telling = true;
    for (const [id, machine] of this.changed) {
      this.changed.delete(id);
      this.tellChange(machine);
      await this.connection.out.room();
      if (this.isOver) break;
    }
    this.telling = false;
  }

  private tellChange(machine: MachineRecord): void {
    const known = this.told.get(machine.id);
    if (known !== undefined && machine.revision <= known) return;
    const removed = machineState(machine) === "destroyed";
    if (removed && known === undefined) return;
    if (removed) this.told.delete(machine.id);
    else this.told.set(machine.id, machine.revision);
    const shown = removed ? null : machineInfo(machine, new Date());
    this.send("update", { machine_id: machineId(machine.id), machine: shown, removed });
  }

  /** A round that takes longer than its interval is not overtaken by the next. */
  private async measure(): Promise<void> {
    if (this.measuring) return;
    this.measuring = true;
    for (const id of [...this.told.keys()]) {
      if (this.isOver) break;
      await this.measureOne(id);
      await this.connection.out.room();
    }
    this.measuring = false;
  }

  private async measureOne(id: string): Promise<void> {
    const { machines, processes } = this.controlPlane;
    try {
      const machine = await machines.get(id);
      if (machineState(machine) !== "running") return;
      const usage = await machines.usage(id);
      this.send("metrics", { machine_id: machineId(id), metrics: metrics(machine, usage, new Date()) });
      if (!this.asked.processes) return;
      const running = (await processes.list(id)).filter((process) => process.running).map(processInfo);
      this.send("processes", { machine_id: machineId(id), processes: running });
    } catch (error) {
      if (this.isOver) return;
      const known = toWireError(error);
      // It stopped meanwhile, which an update tells.
      if (known && known.status < 500) return;
      if (!known) this.connection.fail(error, this.asked.id);
      else {
        const message = `${machineId(id)}: ${known.message}`;
        this.connection.tell({ message, code: known.code }, this.asked.id);
      }
    }
  }

  private get isOver(): boolean {
    return this.stopped || !this.connection.out.isOpen;
  }

  private send(kind: string, members: object): void {
    if (!this.stopped) this.connection.out.send({ type: `monitor_${kind}`, id: this.asked.id, ...members });
  }
}
