/** What machines of a state folder have left on the host. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { join } from "node:path";
import type { ProcessIdentity } from "../../../local/src/engine/drivers/process-table";

export interface Traces {
  mounts: string[];
  cgroups: string[];
  processes: string[];
  files: string[];
  snapshots: string[];
  layers: string[];
}

export const noTraces: Traces = {
  mounts: [],
  cgroups: [],
  processes: [],
  files: [],
  snapshots: [],
  layers: [],
};

/** `insiders` of its machines, which do not name the state folder, as they were found before. */
export function tracesOf(
  stateDir: string,
  before: readonly string[],
  insiders: readonly ProcessIdentity[] = [],
): Traces {
  return {
    mounts: lines(readFileSync("/proc/mounts", "utf8")).filter((line) => line.includes(stateDir)),
    cgroups: cgroups(stateDir).filter((path) => !before.includes(path)),
    processes: processes((pid) => {
      const command = commandOf(pid);
      const inside = insiders.some((one) => one.pid === pid && one.startTime === startTimeOf(pid));
      return inside || (command.includes(`pulumi-machines-`) && command.includes(stateDir)) ? [command] : [];
    }),
    files: names(join(stateDir, "machines")),
    snapshots: names(join(stateDir, "snapshots")),
    layers: names(join(stateDir, "layers")),
  };
}

/** All processes in a PID namespace, as its machine names it. Its number may be another one's as soon as it has gone. */
export const insidersOf = (namespace: string): ProcessIdentity[] =>
  processes((pid) =>
    readlinkSync(`/proc/${String(pid)}/ns/pid`) === namespace ? [{ pid, startTime: startTimeOf(pid) }] : [],
  );

/** Other tests, and other sessions on this host, have theirs. */
const cgroupName = (stateDir: string): string =>
  `pulumi-machines-${createHash("sha256").update(stateDir).digest("hex").slice(0, 10)}`;

/** Our cgroups of every state folder, or of one; other tests may have theirs. */
export function cgroups(stateDir?: string): string[] {
  const name = stateDir === undefined ? "pulumi-machines-*" : cgroupName(stateDir);
  // Those of others may go while it looks: it says so and goes on.
  const found = spawnSync("find", ["/sys/fs/cgroup", "-type", "d", "-name", name], { encoding: "utf8" });
  return lines(found.stdout);
}

/** Processes of the host whose command line holds this text. */
export function processesWith(text: string): string[] {
  return processes((pid) => {
    const command = commandOf(pid);
    return command.includes(text) ? [command] : [];
  });
}

const commandOf = (pid: number): string =>
  readFileSync(`/proc/${String(pid)}/cmdline`, "utf8").replaceAll("\0", " ");

/** In ticks since the host's start; the name before it may hold anything. */
const startTimeOf = (pid: number): string =>
  readFileSync(`/proc/${String(pid)}/stat`, "utf8")
    .split(") ")
    .at(-1)
    ?.split(" ")[19] ?? "";

function processes<T>(take: (pid: number) => T[]): T[] {
  return names("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) return [];
    try {
      return take(Number(name));
    } catch {
      return []; // it has just ended, or is the kernel's
    }
  });
}

function names(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return []; // nothing was ever made there
  }
}

const lines = (text: string): string[] => text.split("\n").filter(Boolean);
