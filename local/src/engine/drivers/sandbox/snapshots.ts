/** Snapshots of sandboxes: lists of read-only layers, which machines share with them. */
import { rename } from "node:fs/promises";
import { DriverError } from "../../driver";
import {
  makePrivate,
  machineFolder,
  removeTree,
  snapshotFolder,
  snapshotIds,
  type MachineFolder,
} from "../machine-folder";
import type { Turns } from "../turns";
import { copyRunning, type CopyPlace } from "./copy-running";
import { noDisk, rotate, settleDisk } from "./disk";
import { foldersOf, readSnapshot, writeDisk, writeSnapshot, type Disk, type Lower } from "./disk-file";
import type { SandboxHost } from "./host";
import { Jail } from "./jail";
import { endProcesses, isUp } from "./launch";
import type { Layers } from "./layers";

/** A disk on more layers than this is copied into one: each makes look-ups slower, and a mount takes only so many. */
const maxLayers = 24;

type MakeLayer = () => Promise<string>;

export interface SnapshotDeps {
  host: SandboxHost;
  layers: Layers;
  /** Those of the driver: a machine is not started or stopped while its disk is looked at. */
  turns: Turns;
  /** What holds a machine, and what it maps. */
  running: (machine: MachineFolder) => Promise<Pick<CopyPlace, "hold" | "mapped">>;
}

export class Snapshots {
  private readonly underWay = new Map<string, Set<AbortController>>();

  constructor(private readonly deps: SnapshotDeps) {}

  /** @throws DriverError no_disk, snapshot_failed. */
  async take(machineId: string, snapshotId: string, signal: AbortSignal): Promise<{ sizeBytes: number }> {
    const { host, layers } = this.deps;
    const folder = snapshotFolder(host.stateDir, snapshotId);
    const earlier = await readSnapshot(folder);
    if (earlier) return { sizeBytes: earlier.sizeBytes };
    const mine = new AbortController();
    const all = this.underWay.get(machineId) ?? new Set();
    this.underWay.set(machineId, all.add(mine));
    try {
      return await layers.making(async (make) => {
        const either = AbortSignal.any([signal, mine.signal]);
        const lower = await this.lowerOf(machineFolder(host.stateDir, machineId), make, either);
        const sizeBytes = await layers.sizeBytes(lower.layers);
        either.throwIfAborted();
        await makePrivate(folder);
        await writeSnapshot(folder, { ...lower, sizeBytes });
        return { sizeBytes };
      });
    } catch (error) {
      await removeTree(folder);
      await layers.collect();
      if (error instanceof DriverError || signal.aborted) throw error;
      const words = mine.signal.aborted ? "the machine was destroyed meanwhile" : wordsOf(error);
      throw new DriverError("snapshot_failed", words, !mine.signal.aborted, { cause: error });
    } finally {
      all.delete(mine);
      if (all.size === 0) this.underWay.delete(machineId);
    }
  }

  /** Ends the snapshots of a machine that are under way: they fail. */
  giveUp(machineId: string): void {
    for (const one of this.underWay.get(machineId) ?? []) one.abort();
  }

  async forget(snapshotId: string): Promise<void> {
    await removeTree(snapshotFolder(this.deps.host.stateDir, snapshotId));
    await this.deps.layers.collect();
  }

  async sweep(known: ReadonlySet<string>): Promise<void> {
    const { stateDir } = this.deps.host;
    for (const id of await snapshotIds(stateDir)) {
      if (!known.has(id)) await removeTree(snapshotFolder(stateDir, id));
    }
  }

  private lowerOf(machine: MachineFolder, make: MakeLayer, signal: AbortSignal): Promise<Lower> {
    return this.deps.turns.take(machine.id, async () => {
      signal.throwIfAborted();
      const found = (await isUp(machine))
        ? await this.ofRunning(machine, make, signal)
        : await this.ofStopped(machine, make, signal);
      return { layers: found.layers, template: found.template, hostname: found.hostname };
    });
  }

  /** The upper layer becomes a lower one. */
  private async ofStopped(machine: MachineFolder, make: MakeLayer, signal: AbortSignal): Promise<Lower> {
    const { host, layers } = this.deps;
    await endProcesses(machine); // of a start that was killed half way: they may still write
    const disk = await rotate(machine, host, layers, make);
    if (disk.layers.length <= maxLayers) return disk;
    const { hostname } = disk;
    const whole = { layers: [await this.flatten(disk, make, signal)], template: "", hostname };
    await writeDisk(machine, whole);
    return whole;
  }

  /** The upper layer is copied, or what of it was not copied before. */
  private async ofRunning(machine: MachineFolder, make: MakeLayer, signal: AbortSignal): Promise<Lower> {
    const { host, layers } = this.deps;
    let disk = await settleDisk(machine, host, layers);
    if (!disk) throw noDisk(machine);
    if (disk.layers.length > maxLayers && disk.flat === undefined) {
      disk = { ...disk, flat: await this.flatten(disk, make, signal) };
      await writeDisk(machine, disk);
    }
    const place = { host, layers, make, signal, ...(await this.deps.running(machine)) };
    const copied = await copyRunning(machine, disk, place);
    await writeDisk(machine, { ...disk, copied });
    const below = disk.flat === undefined ? disk : { layers: [disk.flat], template: "" };
    return { layers: [...copied, ...below.layers], template: below.template, hostname: disk.hostname };
  }

  /** All of a lower tree in one layer. Nothing writes to it, so nobody is held. */
  private async flatten(lower: Disk, make: MakeLayer, signal: AbortSignal): Promise<string> {
    const { host, layers } = this.deps;
    const scratch = layers.folder(await make());
    const jail = await Jail.open(host, scratch, foldersOf(lower), signal);
    try {
      await jail.step("copy");
      const name = await make();
      await rename(`${scratch}/tree`, layers.tree(name));
      return name;
    } finally {
      await jail.close();
      await removeTree(scratch);
    }
  }
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
