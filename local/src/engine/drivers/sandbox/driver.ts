/** Machines as Linux namespaces, made with util-linux alone, by root or by an ordinary user. */
import { readlink } from "node:fs/promises";
import { join } from "node:path";
import {
  DriverError,
  type Driver,
  type ExecSpec,
  type MachineSpec,
  type MachineUsage,
  type PipedProgram,
  type RunningExec,
} from "../../driver";
import { ExitWatch } from "../exit-watch";
import { Gates } from "../gates";
import { machineFolder, machineIds, readRuntime, removeTree, type MachineFolder } from "../machine-folder";
import { startPiped } from "../piped-program";
import { useOfAll } from "../process-table";
import { sharedFiles } from "../shared-files";
import { ShellExecs } from "../shell-exec";
import { Turns } from "../turns";
import { UsageMeter } from "../usage-meter";
import { waitUntil } from "../wait-until";
import { Cgroups } from "./cgroups";
import type { CopyPlace } from "./copy-running";
import { prepareDisk } from "./disk";
import { foldersOf, readDisk } from "./disk-file";
import { hold, releaseLeft } from "./hold";
import { hostEnv, prepareHost, type SandboxHost } from "./host";
import { insidersOf, type Insider } from "./insiders";
import { endProcesses, isUp, launch, waitersOf } from "./launch";
import { damaged, Layers, sizeOf } from "./layers";
import { Snapshots } from "./snapshots";
import { removeOtherTemplates } from "./template";

const busyMs = 15_000;
/** For the size of a disk to be counted. */
const diskMs = 2_000;

const insideEnv = {
  PATH: hostEnv.PATH,
  HOME: "/root",
  USER: "root",
  LOGNAME: "root",
  SHELL: "/bin/sh",
  LANG: "C.UTF-8",
};

export class SandboxDriver implements Driver {
  readonly name = "sandbox";
  readonly notEnforced: readonly string[];
  /** The network is the host's: a machine reaches what the host reaches, its loopback too. */
  readonly warnings = ["Machines share the host's network: ports are not isolated."];
  private readonly watch: ExitWatch;
  private readonly execs = new ShellExecs("waits");
  private readonly turns = new Turns();
  private readonly meter = new UsageMeter();
  private readonly layers: Layers;
  private readonly snapshots: Snapshots;
  private readonly gates = new Gates();

  private constructor(
    private readonly host: SandboxHost,
    private readonly cgroups: Cgroups,
  ) {
    this.layers = new Layers(host);
    const { layers, turns } = this;
    this.snapshots = new Snapshots({ host, layers, turns, running: (machine) => this.holder(machine) });
    this.notEnforced = [...cgroups.notEnforced, "storage limit"];
    this.watch = new ExitWatch(
      (id) => this.isRunning(id),
      async (id) =>
        (await cgroups.ranOutOfMemory(id))
          ? "the machine's processes ended: out of memory"
          : "the machine's processes ended: its init was killed",
    );
  }

  /** Writes scripts and template into the state folder; starts nothing. @throws DriverError sandbox_unusable. */
  static async create({ stateDir }: { stateDir: string }): Promise<SandboxDriver> {
    const host = await prepareHost(stateDir);
    return new SandboxDriver(host, await Cgroups.probe(host.stateDir));
  }

  async start(spec: MachineSpec, { signal }: { signal: AbortSignal }): Promise<void> {
    await this.turns.take(spec.id, () => this.startNow(spec, signal));
  }

  private async startNow(spec: MachineSpec, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const machine = machineFolder(this.host.stateDir, spec.id);
    const isFree = async (): Promise<boolean> => {
      signal.throwIfAborted();
      if (await isUp(machine)) {
        await this.releaseLeft(machine);
        return true;
      }
      const lower = foldersOf(await prepareDisk(machine, spec, this.host, this.layers));
      await this.cgroups.set(spec.id, spec);
      const cgroups = this.cgroups.of(spec.id);
      const onEnd = (): void => this.watch.childEnded(spec.id);
      this.watch.childStarts(spec.id);
      return (await launch(machine, spec, this.host, { cgroups, lower, signal, onEnd })) === "up";
    };
    if (await waitUntil(isFree, { withinMs: busyMs, everyMs: 20 })) return;
    const words = "an earlier start of this machine does not end: stop the machine, then start it again";
    throw new DriverError("start_failed", words, true);
  }

  async isRunning(machineId: string): Promise<boolean> {
    return isUp(machineFolder(this.host.stateDir, machineId));
  }

  onExit(machineId: string, listener: (words: string) => void): () => void {
    return this.watch.onExit(machineId, listener);
  }

  async stop(machineId: string): Promise<void> {
    await this.turns.take(machineId, () => this.stopNow(machineId));
  }

  async destroy(machineId: string): Promise<void> {
    this.snapshots.giveUp(machineId);
    this.meter.forget(machineId);
    await this.turns.take(machineId, async () => {
      await this.stopNow(machineId);
      await removeTree(machineFolder(this.host.stateDir, machineId).path);
      await this.layers.collect();
    });
  }

  async resize(spec: MachineSpec): Promise<void> {
    await this.turns.take(spec.id, async () => {
      if (await this.isRunning(spec.id)) await this.cgroups.set(spec.id, spec);
    });
  }

  private async stopNow(machineId: string): Promise<void> {
    this.watch.forget(machineId);
    const machine = machineFolder(this.host.stateDir, machineId);
    await this.releaseLeft(machine); // a signal waits until it is thawed
    await endProcesses(machine);
    await this.cgroups.remove(machineId);
  }

  async exec(spec: ExecSpec): Promise<RunningExec> {
    const machine = machineFolder(this.host.stateDir, spec.machineId);
    return this.gates.pass(machine.id, async () =>
      this.execs.start(machine, spec, {
        script: join(this.host.scripts, "exec.sh"),
        prefix: await this.entrance(machine),
        cgroups: this.cgroups.of(spec.machineId),
        cwd: "/root",
        env: insideEnv,
        ...(this.host.mode === "root" ? { owner: this.host.uidBase } : {}),
      }),
    );
  }

  async attachExec(machineId: string, executionId: string): Promise<RunningExec | undefined> {
    return this.execs.attach(machineFolder(this.host.stateDir, machineId), executionId);
  }

  async forgetExec(machineId: string, executionId: string): Promise<void> {
    await this.execs.forget(machineFolder(this.host.stateDir, machineId), executionId);
  }

  snapshot(
    machineId: string,
    snapshotId: string,
    { signal }: { signal: AbortSignal },
  ): Promise<{ sizeBytes: number }> {
    return this.snapshots.take(machineId, snapshotId, signal);
  }

  async forgetSnapshot(snapshotId: string): Promise<void> {
    await this.snapshots.forget(snapshotId);
  }

  /** What a snapshot of a running machine needs. */
  private async holder(machine: MachineFolder): Promise<Pick<CopyPlace, "hold" | "mapped">> {
    const init = await readRuntime(machine);
    const insiders = (): Insider[] => (init ? insidersOf(init.pid) : []);
    return {
      mapped: () => sharedFiles(insiders().map((one) => one.pid)),
      hold: async () => {
        // One that has ended meanwhile writes no more.
        const entrance = await this.entrance(machine).catch(() => undefined);
        if (!entrance) return async () => undefined;
        const freezer = await this.cgroups.freezer(machine.id);
        const letIn = await this.gates.shut(machine.id);
        try {
          const release = await hold(machine, {
            ...{ freezer, entrance, insiders },
            waiters: () => (init ? waitersOf(init.pid) : []),
          });
          return () => release().finally(letIn);
        } catch (error) {
          letIn();
          throw error;
        }
      },
    };
  }

  /** A control plane that was killed may have held it. */
  private async releaseLeft(machine: MachineFolder): Promise<void> {
    const freezer = await this.cgroups.freezer(machine.id);
    const init = await readRuntime(machine);
    await releaseLeft(machine, {
      freezer,
      entrance: () => this.entrance(machine),
      waiters: () => (init ? waitersOf(init.pid) : []),
    });
  }

  async usage(machine: { id: string; vcpu: number }): Promise<MachineUsage> {
    const folder = machineFolder(this.host.stateDir, machine.id);
    const init = await readRuntime(folder);
    if (!init || !(await isUp(folder))) throw notRunning(machine.id);
    const counted = await this.cgroups.usage(machine.id);
    const seen = useOfAll(insidersOf(init.pid).map(({ pid }) => pid));
    return this.meter.read(machine, {
      init,
      cpuUs: counted.cpuUs ?? seen.cpuUs,
      memoryBytes: counted.memoryBytes ?? seen.memoryBytes,
      diskBytes: () => this.diskBytes(folder),
    });
  }

  /** With what it shares with others. */
  private async diskBytes(folder: MachineFolder): Promise<number | undefined> {
    const upper = await sizeOf(join(folder.path, "upper"), this.host, diskMs);
    if (upper === undefined) return undefined;
    const disk = await readDisk(folder.path);
    return upper + (await this.layers.sizeBytes(disk?.layers ?? []));
  }

  async pipe(machineId: string, argv: readonly string[], options?: { cwd?: string }): Promise<PipedProgram> {
    const machine = machineFolder(this.host.stateDir, machineId);
    return this.gates.pass(machineId, async () =>
      startPiped(argv, {
        folder: machine.path,
        prefix: await this.entrance(machine),
        cgroups: this.cgroups.of(machineId),
        cwd: options?.cwd,
        env: insideEnv,
      }),
    );
  }

  /** What stands before a command to run it inside. @throws DriverError not_running. */
  private async entrance(machine: MachineFolder): Promise<string[]> {
    const init = await readRuntime(machine);
    if (!init || !(await isUp(machine))) throw notRunning(machine.id);
    const asOurselves = this.host.mode === "user" ? ["--preserve-credentials"] : [];
    // The host's network can be entered by its root alone: stay in it.
    const network = (await sharesNetwork(init.pid)) ? [] : ["-n"];
    return [
      ...["nsenter", "-t", String(init.pid), "-U", ...asOurselves, "-m", "-p", "-u", "-i", "-C", ...network],
      // Entering gives every capability of the machine's namespace; never run a command without this.
      ...["setpriv", "--bounding-set", "-all", "--inh-caps", "-all", "--no-new-privs", "--"],
    ];
  }

  async sweep(known: ReadonlySet<string>, knownSnapshots: ReadonlySet<string>): Promise<string[]> {
    const present = new Set([...(await machineIds(this.host.stateDir)), ...(await this.cgroups.ids())]);
    const unknown = [...present].filter((id) => !known.has(id));
    for (const id of unknown) await this.destroy(id);
    for (const id of known) {
      const machine = machineFolder(this.host.stateDir, id);
      await this.turns.take(id, () => this.releaseLeft(machine));
    }
    await this.snapshots.sweep(knownSnapshots);
    await this.layers.collect();
    const used = await this.layers.inUse().catch(damaged);
    // Of a disk that cannot be read, nobody knows what it needs.
    if (used) await removeOtherTemplates(this.host.stateDir, used.templates);
    return unknown;
  }

  async close(): Promise<void> {
    this.watch.close();
    this.execs.close();
  }
}

const notRunning = (id: string): DriverError =>
  new DriverError("not_running", `machine ${id} does not run: start it first`, true);

async function sharesNetwork(pid: number): Promise<boolean> {
  const [its, ours] = await Promise.all([pid, "self"].map((one) => readlink(`/proc/${one}/ns/net`)));
  return its === ours;
}
