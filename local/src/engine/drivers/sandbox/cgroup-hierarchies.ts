/** Where on this host a cgroup that limits, counts or freezes can be made: v1 and v2, each probed by doing it. */
import { execFile } from "node:child_process";
import { mkdir, readFile, rmdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

export const limiting = ["memory", "cpu", "pids"] as const;
/** What v2 has in every cgroup, whatever its controllers. */
const always = ["cpuacct", "freezer"] as const;
const controllers = [...limiting, ...always];
export type Controller = (typeof controllers)[number];

/** One folder below which a machine's cgroup can be made, and what it then does. */
export interface Hierarchy {
  version: 1 | 2;
  /** Holds one cgroup a machine; made when needed, removed with the last machine. */
  parent: string;
  controllers: Controller[];
}

/** The parts that work here; a controller that is in none is not enforced. `name` is unique to the state folder. */
export async function findHierarchies(name: string): Promise<Hierarchy[]> {
  const mounts = await cgroupMounts();
  const found: Hierarchy[] = [];
  for (const mount of mounts.filter((one) => one.version === 1)) {
    const offered = controllers.filter((one) => mount.options.includes(one));
    const usable = await best(
      mount.bases.map((base) => ({ version: 1, base, offered })),
      name,
    );
    if (usable) found.push(usable);
  }
  // A controller belongs to v1 or to v2, never to both; a process is in one v2 cgroup, so one base has to do.
  for (const mount of mounts.filter((one) => one.version === 2)) {
    const bases = mount.bases.map(async (base): Promise<Candidate> => {
      const words = await readFile(join(base, "cgroup.controllers"), "utf8").catch(() => "");
      const limits = limiting.filter((one) => words.split(/\s+/).includes(one));
      return { version: 2, base, offered: [...limits, ...always] };
    });
    const usable = await best(await Promise.all(bases), name);
    if (usable) found.push(usable);
  }
  return needed(found);
}

/** Each cgroup to join costs a write at every command: one that offers nothing more is left out, v2 goes first. */
function needed(found: Hierarchy[]): Hierarchy[] {
  const taken = new Set<Controller>();
  const kept = found
    .toSorted((a, b) => b.version - a.version)
    .flatMap((one) => {
      const fresh = one.controllers.filter((name) => !taken.has(name));
      for (const name of fresh) taken.add(name);
      return fresh.length === 0 ? [] : [{ ...one, controllers: fresh }];
    });
  return kept.toSorted((a, b) => a.version - b.version);
}

/** Makes the parent, with its controllers passed on to its children. */
export async function openParent(hierarchy: Hierarchy): Promise<void> {
  const passed = limiting.filter((one) => hierarchy.controllers.includes(one));
  if (hierarchy.version === 2) await passOn(dirname(hierarchy.parent), passed);
  await mkdir(hierarchy.parent, { recursive: true });
  if (hierarchy.version === 2) await passOn(hierarchy.parent, passed);
}

/** Removes the parent when no machine's cgroup is left in it. */
export async function closeParent(hierarchy: Hierarchy): Promise<void> {
  await rmdir(hierarchy.parent).catch(() => undefined); // still in use, or gone
}

interface Mount {
  version: 1 | 2;
  folder: string;
  options: string[];
  /** From the top of the hierarchy down to the cgroup that we are in. */
  bases: string[];
}

async function cgroupMounts(): Promise<Mount[]> {
  const [table, own] = await Promise.all([
    readFile("/proc/self/mountinfo", "utf8").catch(() => ""),
    readFile("/proc/self/cgroup", "utf8").catch(() => ""),
  ]);
  return table.split("\n").flatMap((line) => {
    const [left, right] = line.split(" - ");
    const [, , , root, folder] = left?.split(" ") ?? [];
    const [type, , options = ""] = right?.split(" ") ?? [];
    if (!root || !folder || (type !== "cgroup" && type !== "cgroup2")) return [];
    const version = type === "cgroup2" ? 2 : 1;
    const list = options.split(",");
    const path = ownPath(own, version === 2 ? [] : list);
    // A machine must outlive the service that started the control plane, so the top is tried first.
    const steps = path.startsWith(root) ? path.slice(root.length).split("/").filter(Boolean) : [];
    return [{ version, folder, options: list, bases: steps.reduce(deeper, [folder]) } satisfies Mount];
  });
}

function deeper(bases: string[], step: string): string[] {
  return [...bases, join(bases.at(-1) ?? "/", step)];
}

/** A line reads `4:memory:/some/path`, or `0::/some/path` for v2. */
function ownPath(text: string, options: string[]): string {
  for (const line of text.split("\n")) {
    const [, names = "", ...path] = line.split(":");
    const matches =
      options.length === 0 ? names === "" : names.split(",").some((one) => options.includes(one));
    if (line && matches) return path.join(":");
  }
  return "/";
}

interface Candidate {
  version: 1 | 2;
  base: string;
  offered: Controller[];
}

/** The first with the most controllers that really lets a process in. */
async function best(candidates: Candidate[], name: string): Promise<Hierarchy | undefined> {
  for (const { version, base, offered } of candidates.toSorted(
    (a, b) => b.offered.length - a.offered.length,
  )) {
    const hierarchy: Hierarchy = { version, parent: join(base, name), controllers: offered };
    if (offered.length > 0 && (await canJoin(hierarchy))) return hierarchy;
  }
  return undefined;
}

/** Makes a cgroup, puts a process into it, and takes all of it away again. */
async function canJoin(hierarchy: Hierarchy): Promise<boolean> {
  const probe = join(hierarchy.parent, `probe-${process.pid}`);
  try {
    await openParent(hierarchy);
    await mkdir(probe);
    await run("/bin/sh", ["-c", 'echo 0 >"$1/cgroup.procs"', "sh", probe]);
    return true;
  } catch {
    return false; // read-only, not delegated, or not empty: the next base is tried
  } finally {
    await rmdir(probe).catch(() => undefined); // was never made
    await closeParent(hierarchy);
  }
}

async function passOn(folder: string, names: Controller[]): Promise<void> {
  const file = join(folder, "cgroup.subtree_control");
  const already = (await readFile(file, "utf8")).split(/\s+/);
  const missing = names.filter((one) => !already.includes(one));
  if (missing.length > 0) await writeFile(file, missing.map((one) => `+${one}`).join(" "));
}
