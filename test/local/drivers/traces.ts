/** What machines of a state folder have left on the host. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { join } from "node:path";

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

/** `pidNamespaces` as their machines named them: a process of a machine does not name the state folder. */
export function tracesOf(stateDir: string, before: readonly string[], pidNamespaces: string[] = []): Traces {
  return {
    mounts: lines(readFileSync("/proc/mounts", "utf8")).filter((line) => line.includes(stateDir)),
    cgroups: cgroups(stateDir).filter((path) => !before.includes(path)),
    processes: processes((pid) => {
      const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
      const inside = pidNamespaces.includes(readlinkSync(`/proc/${pid}/ns/pid`));
      return inside || (command.includes(`pulumi-machines-`) && command.includes(stateDir)) ? [command] : [];
    }),
    files: names(join(stateDir, "machines")),
    snapshots: names(join(stateDir, "snapshots")),
    layers: names(join(stateDir, "layers")),
  };
}

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
    const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
    return command.includes(text) ? [command] : [];
  });
}

function processes(take: (pid: number) => string[]): string[] {
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
