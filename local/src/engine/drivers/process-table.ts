/**
 * The host's processes. A process is named by its pid and its start time, because pids are reused; on Linux the start
 * time includes the boot, because both begin again with every boot.
 */
import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { promisify } from "node:util";

const run = promisify(execFile);

export interface ProcessIdentity {
  pid: number;
  startTime: string;
}

export interface ProcessRow extends ProcessIdentity {
  parent: number;
  group: number;
  /** 0 where the system does not tell. */
  session: number;
}

const onLinux = process.platform === "linux";
/** Of /proc, on every Linux. */
export const ticksPerSecond = 100;
let boot: string | undefined;

/** Empty where the system has none. */
export function bootId(): string {
  boot ??= onLinux ? readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim() : "";
  return boot;
}

/** Every process but zombies. */
export async function processTable(): Promise<ProcessRow[]> {
  if (!onLinux) return processTableByPs();
  return readdirSync("/proc").flatMap((name) => (/^\d+$/.test(name) ? (readProc(Number(name)) ?? []) : []));
}

/** The same by `ps`, for systems without /proc. */
export async function processTableByPs(): Promise<ProcessRow[]> {
  return parsePs((await run("ps", ["-A", "-o", psColumns], psOptions)).stdout);
}

export async function findProcess(pid: number): Promise<ProcessRow | undefined> {
  if (onLinux) return readProc(pid);
  const found = await run("ps", ["-o", psColumns, "-p", String(pid)], psOptions).catch(() => undefined);
  return parsePs(found?.stdout ?? "")[0];
}

export async function isAlive(identity: ProcessIdentity): Promise<boolean> {
  return (await findProcess(identity.pid))?.startTime === identity.startTime;
}

/** The processes whose arguments hold all of these words, each as one argument. Linux only: empty elsewhere. */
export function findByArguments(...words: string[]): number[] {
  return findByFile("cmdline", words);
}

/** The processes that were given this variable, as NAME=VALUE. Linux only, and only those we may look into. */
export function findByVariable(variable: string): number[] {
  return findByFile("environ", [variable]);
}

function findByFile(file: "cmdline" | "environ", words: string[]): number[] {
  if (!onLinux) return [];
  return readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const given = readFileSync(`/proc/${name}/${file}`, "utf8").split("\0");
      return words.every((word) => given.includes(word)) ? [Number(name)] : [];
    } catch {
      return []; // it ended while we looked, or is another user's
    }
  });
}

/** Processor time in microseconds and memory in bytes of a process; zeros for one that has gone, and outside Linux. */
export function useOf(pid: number): { cpuUs: number; memoryBytes: number } {
  const stat = onLinux ? readText(`/proc/${String(pid)}/stat`) : "";
  const status = onLinux ? readText(`/proc/${String(pid)}/status`) : "";
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const ticks = Number(fields[11] ?? 0) + Number(fields[12] ?? 0);
  const kib = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0);
  return { cpuUs: (ticks / ticksPerSecond) * 1_000_000, memoryBytes: kib * 1024 };
}

/** True for one that a signal has stopped. Linux only. */
export function isStopped(pid: number): boolean {
  const stat = onLinux ? readText(`/proc/${String(pid)}/stat`) : "";
  return stat.slice(stat.lastIndexOf(")") + 2).startsWith("T ");
}

/** True when none of its threads runs: stopped, traced, ended or gone. Outside Linux nobody knows: true. */
export function isStill(pid: number): boolean {
  return threadStates(pid).every((state) => "TtZX".includes(state));
}

/**
 * True for one that no signal stops now: it waits for a disk, or for a child of its own that is about to become another
 * program (vfork), which cannot when it is stopped itself.
 */
export function isDeaf(pid: number): boolean {
  return threadStates(pid).includes("D");
}

/** One letter a thread, as in /proc; none for a process that has ended, and outside Linux. */
function threadStates(pid: number): string[] {
  const folder = `/proc/${String(pid)}/task`;
  try {
    const stats = onLinux ? readdirSync(folder).map((thread) => readText(`${folder}/${thread}/stat`)) : [];
    return stats.flatMap((stat) => stat[stat.lastIndexOf(")") + 2] ?? []);
  } catch {
    return [];
  }
}

/** What these processes use together. */
export function useOfAll(pids: readonly number[]): { cpuUs: number; memoryBytes: number } {
  const all = pids.map(useOf);
  return {
    cpuUs: all.reduce((sum, { cpuUs }) => sum + cpuUs, 0),
    memoryBytes: all.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0),
  };
}

/** Empty when there is no such process. */
function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

/** Everything below `root`, and everything in its session or group: children whose parent has gone stay in those. */
export function treeOf(rows: readonly ProcessRow[], root: number): ProcessRow[] {
  const below = new Set<number>([root]);
  for (let before = 0; before !== below.size;) {
    before = below.size;
    for (const row of rows) {
      if (below.has(row.parent) || row.session === root || row.group === root) below.add(row.pid);
    }
  }
  below.delete(root);
  return rows.filter((row) => below.has(row.pid));
}

/** Sends a signal; a process that has gone is no error. */
export function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

function readProc(pid: number): ProcessRow | undefined {
  const text = readText(`/proc/${pid}/stat`);
  if (text === "") return undefined;
  // The name in parentheses may hold anything, spaces and parentheses too.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const [state, parent, group, session] = fields;
  if (state === "Z" || state === "X") return undefined;
  const startTime = `${bootId()}.${fields[19] ?? ""}`;
  return { pid, parent: Number(parent), group: Number(group), session: Number(session), startTime };
}

const psColumns = "pid=,ppid=,pgid=,stat=,lstart=";
const psOptions = { env: { ...process.env, LC_ALL: "C" } };

function parsePs(text: string): ProcessRow[] {
  return text.split("\n").flatMap((line) => {
    const [pid, parent, group, state, ...started] = line.trim().split(/\s+/);
    if (!pid || state?.startsWith("Z")) return [];
    const startTime = started.join(" ");
    return [{ pid: Number(pid), parent: Number(parent), group: Number(group), session: 0, startTime }];
  });
}
