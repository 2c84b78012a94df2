/** Room on the host: which machines hold how much of it. CPU is shared in time, memory is not. */
import { availableParallelism, totalmem } from "node:os";
import type { MachineSize } from "./record";

export interface CapacityLimits {
  /** Largest machine, in vCPUs. */
  machineVcpu: number;
  /** Sum over awake machines, in vCPUs. */
  vcpu: number;
  /** Sum over awake machines, in MiB. */
  memoryMiB: number;
  /** How long a machine waits for room before it fails, in milliseconds. */
  placementTimeoutMs: number;
}

/** How many vCPUs are given out for each processor of the host: they are shares of time. */
const vcpuPerProcessor = 16;

/** The host's own size. A machine is never larger than the host; together they may use its processors 16 times over. */
export const hostCapacity = (): CapacityLimits => ({
  machineVcpu: availableParallelism(),
  vcpu: availableParallelism() * vcpuPerProcessor,
  memoryMiB: Math.floor(totalmem() / 1_048_576),
  placementTimeoutMs: 30_000,
});

export const unlimitedCapacity: CapacityLimits = {
  machineVcpu: Infinity,
  vcpu: Infinity,
  memoryMiB: Infinity,
  placementTimeoutMs: 0,
};

type Held = Pick<MachineSize, "vcpu" | "memoryMiB">;

export class Capacity {
  private readonly held = new Map<string, Held>();
  private readonly waiting = new Set<() => void>();
  private vcpu = 0;
  private memoryMiB = 0;

  constructor(readonly limits: CapacityLimits) {}

  /** Why a machine of this size can never run here; undefined when it can. */
  neverFits(size: Held): string | undefined {
    const { machineVcpu, vcpu, memoryMiB } = this.limits;
    if (size.vcpu > Math.min(machineVcpu, vcpu)) {
      return `asked for ${String(size.vcpu)} vCPU, the host has ${String(Math.min(machineVcpu, vcpu))}`;
    }
    if (size.memoryMiB > memoryMiB) {
      return `asked for ${String(size.memoryMiB)} MiB of memory, the host has ${String(memoryMiB)} MiB`;
    }
    return undefined;
  }

  /** Takes room for a machine, in place of what it held; false (and nothing changed) when there is too little. */
  take(id: string, size: Held): boolean {
    const own = this.held.get(id) ?? { vcpu: 0, memoryMiB: 0 };
    const fits =
      this.neverFits(size) === undefined &&
      this.vcpu - own.vcpu + size.vcpu <= this.limits.vcpu &&
      this.memoryMiB - own.memoryMiB + size.memoryMiB <= this.limits.memoryMiB;
    if (fits) this.hold(id, size);
    return fits;
  }

  /** Takes room for a machine that runs already, whether it fits or not. */
  hold(id: string, size: Held): void {
    this.drop(id);
    this.held.set(id, { vcpu: size.vcpu, memoryMiB: size.memoryMiB });
    this.vcpu += size.vcpu;
    this.memoryMiB += size.memoryMiB;
  }

  /** Gives a machine's room back and tells those who wait for room. */
  release(id: string): void {
    if (!this.drop(id)) return;
    for (const wake of [...this.waiting]) wake();
  }

  free(): string {
    const { vcpu, memoryMiB } = this.limits;
    return `free: ${String(vcpu - this.vcpu)} of ${String(vcpu)} vCPU, ${String(memoryMiB - this.memoryMiB)} of ${String(memoryMiB)} MiB`;
  }

  /** Resolves when room was given back, the time is over, or the signal aborts. */
  async changed(timeoutMs: number, signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.waiting.delete(done);
        signal.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, timeoutMs);
      this.waiting.add(done);
      signal.addEventListener("abort", done);
      if (signal.aborted) done();
    });
  }

  private drop(id: string): boolean {
    const own = this.held.get(id);
    if (!own) return false;
    this.held.delete(id);
    this.vcpu -= own.vcpu;
    this.memoryMiB -= own.memoryMiB;
    return true;
  }
}
