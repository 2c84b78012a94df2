/** What machines use: rates from one reading to the next, and disks that are measured now and then. */
import { uptime } from "node:os";
import type { MachineUsage } from "../driver";
import { ticksPerSecond, type ProcessIdentity } from "./process-table";

/** A disk is measured again after this time, and not before 50 times as long as it took. */
const diskFreshMs = 5_000;
const diskShare = 50;

/** Processor time is counted in ticks of 10 ms: in less time than this one tick would say much. */
const shortestSpanMs = 200;

interface CpuReading {
  startTime: string;
  atMs: number;
  us: number;
  /** Processors in use, on average until then. */
  busy: number;
}

interface DiskSize {
  bytes: number;
  /** Of the process's clock. */
  dueAtMs: number;
  measuring?: Promise<number>;
}

export interface Reading {
  /** Processor time of all its processes since its start, in microseconds. */
  cpuUs: number;
  memoryBytes: number;
  /** Its first process. */
  init: ProcessIdentity;
  /** Bytes that its disk takes; undefined when they could not be counted in time. */
  diskBytes: () => Promise<number | undefined>;
}

export class UsageMeter {
  private readonly cpu = new Map<string, CpuReading>();
  private readonly disks = new Map<string, DiskSize>();

  async read(machine: { id: string; vcpu: number }, reading: Reading): Promise<MachineUsage> {
    const cpuPercent = this.cpuPercent(machine, reading);
    return {
      cpuPercent,
      memoryUsedBytes: reading.memoryBytes,
      diskUsedBytes: await this.diskBytes(machine.id, reading.diskBytes),
      // Of the network that machines share, nobody knows which bytes are whose.
      ...{ networkRxBytes: 0, networkTxBytes: 0 },
    };
  }

  forget(machineId: string): void {
    this.cpu.delete(machineId);
    this.disks.delete(machineId);
  }

  /** Since the last reading of the same life of the machine; the first one since its start. */
  private cpuPercent({ id, vcpu }: { id: string; vcpu: number }, { cpuUs: us, init }: Reading): number {
    const { startTime } = init;
    const atMs = performance.now();
    const known = this.cpu.get(id);
    const last = known?.startTime === startTime ? known : { atMs: atMs - ageMs(init), us: 0, busy: 0 };
    const spanMs = atMs - last.atMs;
    const isSoon = last === known && spanMs < shortestSpanMs;
    // What has ended may be counted no more.
    const busy = isSoon ? last.busy : spanMs > 0 ? Math.max((us - last.us) / (spanMs * 1000), 0) : 0;
    if (!isSoon) this.cpu.set(id, { startTime, atMs, us, busy });
    // What is not limited may use more.
    return Math.min((100 * busy) / vcpu, 100);
  }

  private async diskBytes(id: string, measure: Reading["diskBytes"]): Promise<number> {
    const disk = this.disks.get(id) ?? { bytes: 0, dueAtMs: -Infinity };
    this.disks.set(id, disk);
    if (performance.now() < disk.dueAtMs) return disk.bytes;
    disk.measuring ??= this.measure(disk, measure).finally(() => delete disk.measuring);
    return disk.measuring;
  }

  private async measure(disk: DiskSize, measure: Reading["diskBytes"]): Promise<number> {
    const startedAtMs = performance.now();
    disk.bytes = (await measure()) ?? disk.bytes;
    const now = performance.now();
    disk.dueAtMs = now + Math.max(diskFreshMs, diskShare * (now - startedAtMs));
    return disk.bytes;
  }
}

/** How long a process has been there; 0 where the system does not tell. */
function ageMs({ startTime }: ProcessIdentity): number {
  const ticks = Number(startTime.split(".").at(-1));
  const bornAtMs = (ticks / ticksPerSecond) * 1000;
  return Number.isFinite(bornAtMs) ? Math.max(uptime() * 1000 - bornAtMs, 0) : 0;
}
