/** The cgroups of a state folder's machines: memory, cpu and the number of processes. */
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DriverError } from "../../driver";
import type { MachineSize } from "../../record";
import { signalProcess } from "../process-table";
import { waitUntil } from "../wait-until";
import { closeParent, controllers, findHierarchies, openParent, type Hierarchy } from "./cgroup-hierarchies";

/** A fork bomb ends here; DCS names no limit. */
const maxProcesses = 4096;
const cpuPeriodUs = 100_000;
/** A cgroup stays busy for a moment after its last process has been collected. */
const removalMs = 5000;

export class Cgroups {
  private constructor(private readonly hierarchies: readonly Hierarchy[]) {}

  /** Finds out what this host allows us to limit. */
  static async probe(stateDir: string): Promise<Cgroups> {
    const hash = createHash("sha256").update(stateDir).digest("hex").slice(0, 10);
    return new Cgroups(await findHierarchies(`pulumi-machines-${hash}`));
  }

  get notEnforced(): string[] {
    const words = { memory: "memory limit", cpu: "cpu limit", pids: "process limit" };
    const limited = this.hierarchies.flatMap((one) => one.controllers);
    return controllers.filter((one) => !limited.includes(one)).map((one) => words[one]);
  }

  /** The folders that a process joins to be limited. */
  of(machineId: string): string[] {
    return this.hierarchies.map((one) => join(one.parent, machineId));
  }

  /** Makes the machine's cgroups when there are none, and sets their limits. */
  async set(machineId: string, size: MachineSize): Promise<void> {
    for (const hierarchy of this.hierarchies) {
      const folder = join(hierarchy.parent, machineId);
      await openParent(hierarchy);
      await mkdir(folder, { recursive: true });
      await setLimits(hierarchy, folder, size);
    }
  }

  /** True when a limit on memory has ended a process of this machine since it started. */
  async ranOutOfMemory(machineId: string): Promise<boolean> {
    const found = this.hierarchies.find((one) => one.controllers.includes("memory"));
    if (!found) return false;
    const file = found.version === 2 ? "memory.events" : "memory.oom_control";
    const text = await readFile(join(found.parent, machineId, file), "utf8").catch(() => "");
    return /^oom_kill [1-9]/m.test(text);
  }

  /** Ends what is still in the machine's cgroups and removes them. */
  async remove(machineId: string): Promise<void> {
    for (const hierarchy of this.hierarchies) {
      const folder = join(hierarchy.parent, machineId);
      const gone = await waitUntil(() => removeOne(folder), { withinMs: removalMs });
      if (!gone) {
        throw new DriverError("destroy_failed", `the cgroup ${folder} is still busy: destroy again`, true);
      }
      await closeParent(hierarchy);
    }
  }

  /** Machines that have a cgroup, known or not. */
  async ids(): Promise<string[]> {
    const lists = this.hierarchies.map((one) => readdir(one.parent, { withFileTypes: true }).catch(() => []));
    const entries = (await Promise.all(lists)).flat();
    return [...new Set(entries.flatMap((entry) => (entry.isDirectory() ? entry.name : [])))];
  }
}

async function setLimits(hierarchy: Hierarchy, folder: string, size: MachineSize): Promise<void> {
  const bytes = String(Math.round(size.memoryMiB * 2 ** 20));
  const quota = String(Math.round(size.vcpu * cpuPeriodUs));
  const v2 = hierarchy.version === 2;
  const has = new Set(hierarchy.controllers);
  if (has.has("memory") && v2) {
    await write(folder, "memory.max", bytes);
    await write(folder, "memory.swap.max", "0", "optional");
  } else if (has.has("memory")) {
    // memsw may never be below the limit: a larger one goes first, a smaller one last; it is absent without swap.
    await write(folder, "memory.memsw.limit_in_bytes", bytes, "optional");
    await write(folder, "memory.limit_in_bytes", bytes);
    await write(folder, "memory.memsw.limit_in_bytes", bytes, "optional");
  }
  if (has.has("cpu") && v2) await write(folder, "cpu.max", `${quota} ${cpuPeriodUs}`);
  else if (has.has("cpu")) {
    await write(folder, "cpu.cfs_period_us", String(cpuPeriodUs));
    await write(folder, "cpu.cfs_quota_us", quota);
  }
  if (has.has("pids")) await write(folder, "pids.max", String(maxProcesses));
}

async function write(folder: string, file: string, text: string, need?: "optional"): Promise<void> {
  try {
    await writeFile(join(folder, file), text);
  } catch (error) {
    if (need === "optional") return;
    const words = error instanceof Error ? error.message : String(error);
    const hint = file.startsWith("memory.") ? "; the machine may use more memory than that now" : "";
    throw new DriverError("resize_failed", `cannot set ${file} to ${text}: ${words}${hint}`, true, {
      cause: error,
    });
  }
}

async function removeOne(folder: string): Promise<boolean> {
  try {
    await rmdir(folder);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return true;
    const text = await readFile(join(folder, "cgroup.procs"), "utf8").catch(() => "");
    for (const pid of text.split("\n").filter(Boolean)) signalProcess(Number(pid), "SIGKILL");
    return false;
  }
}
