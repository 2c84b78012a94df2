/**
 * Machines as plain processes, anywhere with a POSIX shell: a folder that is HOME and working folder, and a process that
 * stands for the machine. It isolates nothing. A daemon that changes HOME too escapes a stop; outside Linux, any daemon.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, realpath, rm } from "node:fs/promises";
import { join } from "node:path";
import {
  DriverError,
  type Driver,
  type ExecSpec,
  type MachineSpec,
  type MachineUsage,
  type PipedProgram,
  type RunningExec,
} from "../driver";
import { execScript } from "./exec-scripts";
import { readWrapper } from "./exec-spool";
import { ExitWatch } from "./exit-watch";
import { Gates } from "./gates";
import { holdProcesses, releaseLeft } from "./hold-processes";
import {
  machineFolder,
  machineIds,
  makePrivate,
  readRuntime,
  removeTree,
  snapshotFolder,
  snapshotIds,
  writeWhole,
  type MachineFolder,
} from "./machine-folder";
import { startPiped } from "./piped-program";
import { keepRoot, prepareRoot, rootOf, sizeOf } from "./process-disk";
import {
  findByArguments,
  findByVariable,
  findProcess,
  isAlive,
  processTable,
  signalProcess,
  treeOf,
  useOfAll,
} from "./process-table";
import { sharedFiles } from "./shared-files";
import { ShellExecs } from "./shell-exec";
import { signalTree } from "./signal-tree";
import { Turns } from "./turns";
import { UsageMeter } from "./usage-meter";
import { waitUntil } from "./wait-until";

/** Names the process that stands for a machine, together with the machine's folder. */
const keeperTag = "pulumi-machines-keeper";
const keeperScript = "trap : TERM HUP; while :; do sleep 2147483647 & wait $!; done";
const endMs = 10_000;
/** For the size of a disk to be counted. */
const diskMs = 2_000;

export class ProcessDriver implements Driver {
  readonly name = "process";
  readonly notEnforced = ["memory limit", "cpu limit", "process limit", "storage limit"];
  readonly warnings = [
    "Machines run as plain processes of this user: files, processes, host name and network are the host's own.",
    "A daemon that a command leaves behind may survive sleep and destroy.",
  ];
  private readonly watch = new ExitWatch(
    (id) => this.isRunning(id),
    async () => "the process that stands for the machine was killed",
  );
  private readonly execs = new ShellExecs("command");
  private readonly turns = new Turns();
  private readonly meter = new UsageMeter();
  private readonly gates = new Gates();

  private constructor(
    private readonly stateDir: string,
    private readonly script: string,
  ) {}

  static async create({ stateDir }: { stateDir: string }): Promise<ProcessDriver> {
    await mkdir(stateDir, { recursive: true, mode: 0o700 });
    const real = await realpath(stateDir);
    const scripts = join(real, "process");
    await makePrivate(scripts);
    await writeWhole(join(scripts, "exec.sh"), execScript);
    return new ProcessDriver(real, join(scripts, "exec.sh"));
  }

  async start(spec: MachineSpec, { signal }: { signal: AbortSignal }): Promise<void> {
    await this.turns.take(spec.id, () => this.startNow(spec, signal));
  }

  private async startNow(spec: MachineSpec, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const machine = machineFolder(this.stateDir, spec.id);
    await releaseLeft(machine, () => this.pidsOf(machine));
    if (await this.isRunning(spec.id)) return;
    if (spec.network === "none") {
      const words =
        "plain processes share the host's network: egress cannot be denied here; use the sandbox driver";
      throw new DriverError("egress_not_enforced", words, false);
    }
    await endKeepers(machine); // of a start that was killed before it wrote the pid down
    for (const name of ["", "exec"]) await makePrivate(join(machine.path, name));
    await prepareRoot(machine, this.stateDir, spec.fromSnapshotId, signal);
    const child = spawn("/bin/sh", ["-c", keeperScript, keeperTag, machine.path], {
      detached: true,
      stdio: "ignore",
      cwd: "/",
      env: { PATH: process.env["PATH"] ?? "/usr/bin:/bin" },
    });
    await once(child, "spawn");
    child.unref();
    this.watch.childStarts(spec.id);
    child.once("exit", () => this.watch.childEnded(spec.id));
    const seen = child.pid === undefined ? undefined : await findProcess(child.pid);
    if (!seen) throw new DriverError("start_failed", "the process that stands for the machine ended", true);
    await writeWhole(machine.runtime, JSON.stringify({ pid: seen.pid, startTime: seen.startTime }));
  }

  async isRunning(machineId: string): Promise<boolean> {
    const keeper = await readRuntime(machineFolder(this.stateDir, machineId));
    return keeper !== undefined && (await isAlive(keeper));
  }

  onExit(machineId: string, listener: (words: string) => void): () => void {
    return this.watch.onExit(machineId, listener);
  }

  async stop(machineId: string): Promise<void> {
    await this.turns.take(machineId, () => this.stopNow(machineId));
  }

  async destroy(machineId: string): Promise<void> {
    await this.turns.take(machineId, async () => {
      await this.stopNow(machineId);
      this.meter.forget(machineId);
      await removeTree(machineFolder(this.stateDir, machineId).path);
    });
  }

  private async stopNow(machineId: string): Promise<void> {
    this.watch.forget(machineId);
    const machine = machineFolder(this.stateDir, machineId);
    await releaseLeft(machine, () => this.pidsOf(machine));
    for (const name of await readdir(machine.execs).catch(() => [] as string[])) {
      const wrapper = await readWrapper(join(machine.execs, name));
      if (wrapper) await signalTree(wrapper, "SIGKILL", "command");
    }
    await endDaemons(machine);
    const keeper = await readRuntime(machine);
    if (keeper && (await isAlive(keeper))) signalGroup(keeper.pid);
    await endKeepers(machine);
    const ended = await waitUntil(async () => !(keeper && (await isAlive(keeper))), { withinMs: endMs });
    if (!ended) throw new DriverError("stop_failed", `process ${keeper?.pid} did not end; try again`, true);
    await rm(machine.runtime, { force: true });
  }

  async resize(): Promise<void> {
    return undefined; // nothing is limited
  }

  async exec(spec: ExecSpec): Promise<RunningExec> {
    const machine = machineFolder(this.stateDir, spec.machineId);
    await this.mustRun(spec.machineId);
    const home = rootOf(machine);
    const { script } = this;
    const place = { script, prefix: [], cgroups: [], cwd: home, env: envOf(home) };
    return this.gates.pass(machine.id, () => this.execs.start(machine, spec, place));
  }

  private async mustRun(machineId: string): Promise<void> {
    if (await this.isRunning(machineId)) return;
    throw notRunning(machineId);
  }

  async attachExec(machineId: string, executionId: string): Promise<RunningExec | undefined> {
    return this.execs.attach(machineFolder(this.stateDir, machineId), executionId);
  }

  async forgetExec(machineId: string, executionId: string): Promise<void> {
    await this.execs.forget(machineFolder(this.stateDir, machineId), executionId);
  }

  async snapshot(
    machineId: string,
    snapshotId: string,
    { signal }: { signal: AbortSignal },
  ): Promise<{ sizeBytes: number }> {
    const machine = machineFolder(this.stateDir, machineId);
    const { stateDir } = this;
    let pids: number[] = [];
    const find = async (): Promise<number[]> => (pids = await this.pidsOf(machine));
    const hold = async (): Promise<() => Promise<void>> => {
      const letIn = await this.gates.shut(machineId);
      try {
        const release = await holdProcesses(machine, find);
        return () => release().finally(letIn);
      } catch (error) {
        letIn();
        throw error;
      }
    };
    const mapped = (): ((inode: number) => boolean) => {
      const { inodes } = sharedFiles(pids);
      return (inode) => inodes.has(String(inode));
    };
    return this.turns.take(machineId, () =>
      keepRoot(machine, { stateDir, snapshotId, hold, mapped, signal }),
    );
  }

  async forgetSnapshot(snapshotId: string): Promise<void> {
    await removeTree(snapshotFolder(this.stateDir, snapshotId));
  }

  async usage(machine: { id: string; vcpu: number }): Promise<MachineUsage> {
    const folder = machineFolder(this.stateDir, machine.id);
    const init = await readRuntime(folder);
    if (!init || !(await isAlive(init))) throw notRunning(machine.id);
    const diskBytes = (): Promise<number | undefined> => sizeOf(rootOf(folder), diskMs);
    return this.meter.read(machine, { init, ...useOfAll(await this.pidsOf(folder)), diskBytes });
  }

  /** Of the commands and what they started. A daemon is found where the system tells what it was given. */
  private async pidsOf(machine: MachineFolder): Promise<number[]> {
    const pids = new Set(findByVariable(`HOME=${rootOf(machine)}`));
    const names = await readdir(machine.execs).catch(() => [] as string[]);
    const wrappers = await Promise.all(names.map((name) => readWrapper(join(machine.execs, name))));
    const rows = await processTable();
    for (const wrapper of wrappers) {
      if (!wrapper || !(await isAlive(wrapper))) continue;
      for (const { pid } of treeOf(rows, wrapper.pid)) pids.add(pid);
    }
    return [...pids];
  }

  async pipe(machineId: string, argv: readonly string[], options?: { cwd?: string }): Promise<PipedProgram> {
    const machine = machineFolder(this.stateDir, machineId);
    await this.mustRun(machineId);
    const home = rootOf(machine);
    const place = {
      folder: machine.path,
      prefix: [],
      cgroups: [],
      cwd: options?.cwd ?? home,
      env: envOf(home),
    };
    return this.gates.pass(machineId, () => startPiped(argv, place));
  }

  async sweep(known: ReadonlySet<string>, knownSnapshots: ReadonlySet<string>): Promise<string[]> {
    const unknown = (await machineIds(this.stateDir)).filter((id) => !known.has(id));
    for (const id of unknown) await this.destroy(id);
    for (const id of known) {
      const machine = machineFolder(this.stateDir, id);
      await this.turns.take(id, () => releaseLeft(machine, () => this.pidsOf(machine)));
    }
    for (const id of await snapshotIds(this.stateDir)) {
      if (!knownSnapshots.has(id)) await this.forgetSnapshot(id);
    }
    return unknown;
  }

  async close(): Promise<void> {
    this.watch.close();
    this.execs.close();
  }
}

/** The keeper leads a group of its own, in which is nothing but its `sleep`. */
function signalGroup(leader: number): void {
  signalProcess(-leader, "SIGKILL");
}

/** Its HOME is how a daemon of the machine is found again. */
const envOf = (home: string): Record<string, string> => ({
  PATH: process.env["PATH"] ?? "/usr/bin:/bin",
  HOME: home,
  SHELL: "/bin/sh",
  LANG: "C.UTF-8",
});

const notRunning = (id: string): DriverError =>
  new DriverError("not_running", `machine ${id} does not run: start it first`, true);

/** What has left the session of its command is known by the home it was given, where the system tells (Linux). */
async function endDaemons(machine: MachineFolder): Promise<void> {
  const noneIsLeft = (): boolean => {
    const left = findByVariable(`HOME=${rootOf(machine)}`);
    for (const pid of left) signalProcess(pid, "SIGKILL");
    return left.length === 0;
  };
  await waitUntil(noneIsLeft, { withinMs: endMs });
}

async function endKeepers(machine: MachineFolder): Promise<void> {
  for (const pid of findByArguments(keeperTag, machine.path)) signalGroup(pid);
}
