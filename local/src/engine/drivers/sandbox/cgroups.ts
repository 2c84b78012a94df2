/** The cgroups of a state folder's machines: limits of memory, cpu and processes, their use, and the freezer. */
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DriverError } from "../../driver";
import type { MachineSize } from "../../record";
import { signalProcess } from "../process-table";
import { waitUntil } from "../wait-until";
import {
  closeParent,
  findHierarchies,
  limiting,
  openParent,
  type Controller,
  type Hierarchy,
} from "./cgroup-hierarchies";

/** A fork bomb ends here; DCS names no limit. */
const maxProcesses = 4096;
const cpuPeriodUs = 100_000;
/** A cgroup stays busy for a moment after its last process has been collected. */
const removalMs = 5000;

export interface Freezer {
  file: string;
  hold: string;
  release: string;
  /** A file next to it, and what it says when everything is frozen. */
  seen: [string, RegExp];
}

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
    return limiting.filter((one) => !limited.includes(one)).map((one) => words[one]);
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

  /** The file that freezes the machine, where there is one. */
  async freezer(machineId: string): Promise<Freezer | undefined> {
    const found = this.hierarchies.find((one) => one.controllers.includes("freezer"));
    if (!found) return undefined;
    const folder = join(found.parent, machineId);
    const freezer: Freezer =
      found.version === 2
        ? {
            file: join(folder, "cgroup.freeze"),
            hold: "1",
            release: "0",
            seen: ["cgroup.events", /^frozen 1$/m],
          }
        : {
            ...{ file: join(folder, "freezer.state"), hold: "FROZEN", release: "THAWED" },
            seen: ["freezer.state", /^FROZEN$/m],
          };
    // None for a machine that an earlier version has started.
    return (await readFile(freezer.file, "utf8").catch(() => undefined)) === undefined ? undefined : freezer;
  }

  /** Processor time in microseconds and memory in bytes, without cache that can be dropped; undefined: not counted. */
  async usage(machineId: string): Promise<{ cpuUs?: number; memoryBytes?: number }> {
    const read = async (
      controller: Controller,
      file: (version: 1 | 2) => string,
    ): Promise<string | undefined> => {
      const found = this.hierarchies.find((one) => one.controllers.includes(controller));
      if (!found) return undefined;
      return readFile(join(found.parent, machineId, file(found.version)), "utf8").catch(() => undefined);
    };
    const [cpu, memory, parts] = await Promise.all([
      read("cpuacct", (version) => (version === 2 ? "cpu.stat" : "cpuacct.usage")),
      read("memory", (version) => (version === 2 ? "memory.current" : "memory.usage_in_bytes")),
      read("memory", () => "memory.stat"),
    ]);
    const cache = Number(/^(?:total_)?inactive_file (\d+)$/m.exec(parts ?? "")?.[1] ?? 0);
    const ns = /^\d+$/m.exec(cpu ?? "")?.[0];
    const us =
      /^usage_usec (\d+)$/m.exec(cpu ?? "")?.[1] ?? (ns === undefined ? undefined : Number(ns) / 1000);
    return {
      ...(us === undefined ? {} : { cpuUs: Number(us) }),
      ...(memory === undefined ? {} : { memoryBytes: Math.max(0, Number(memory) - cache) }),
    };
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
