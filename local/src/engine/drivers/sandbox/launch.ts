/** Starts the processes of one sandbox and sees that they are really up, and takes them down again. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { open, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { DriverError, type MachineSpec } from "../../driver";
import { execTag } from "../exec-scripts";
import { readRuntime, type MachineFolder } from "../machine-folder";
import { bootId, findByArguments, isAlive, isStopped, signalProcess } from "../process-table";
import { waitUntil } from "../wait-until";
import { hostEnv, type SandboxHost } from "./host";
import { startTag } from "./scripts";

const startMs = 20_000;
const endMs = 10_000;
/** What waits for init ends within this time of it. */
const graceMs = 1000;
/** Commands record their exit within this time of their machine's end. */
const recordMs = 2000;
/** What start.sh ends with when another start holds the machine. */
const busy = 75;

/** True when init has said that it is ready, and lives. */
export async function isUp(machine: MachineFolder): Promise<boolean> {
  const init = await readRuntime(machine);
  if (!init || !(await isAlive(init))) return false;
  return (await readFile(join(machine.path, "ready"), "utf8").catch(() => "")) === "ready\n";
}

/**
 * Starts the machine's processes, detached and with no pipe to us, and waits until init is up.
 * Answers "busy" when another start, or the end of the last one, still holds the machine.
 * @throws DriverError sandbox_unusable, with what the system said.
 */
export async function launch(
  machine: MachineFolder,
  spec: MachineSpec,
  host: SandboxHost,
  options: { cgroups: string[]; lower: string[]; signal: AbortSignal; onEnd: () => void },
): Promise<"up" | "busy"> {
  const log = join(machine.path, "start.log");
  const file = await open(log, "w", 0o600);
  const child = spawn(
    "/bin/sh",
    [
      join(host.scripts, "start.sh"),
      ...[startTag, machine.path, host.mode, bootId(), host.template],
      ...[String(host.uidBase), String(host.uidCount), spec.hostname, options.cgroups.join(" ")],
      ...[options.lower.join(" "), spec.network],
    ],
    // Nothing of our environment: no secret of the control plane may be read in /proc by anybody.
    { detached: true, stdio: ["ignore", "ignore", file.fd], cwd: "/", env: hostEnv },
  );
  try {
    await once(child, "spawn");
  } finally {
    await file.close();
  }
  child.unref();
  child.once("exit", options.onEnd);
  const over = (): boolean => child.exitCode !== null || child.signalCode !== null || options.signal.aborted;
  const came = await waitUntil(async () => over() || (await isUp(machine)), {
    withinMs: startMs,
    everyMs: 3,
  });
  if (came && !over()) return "up";
  if (child.exitCode === busy) return "busy";
  await endProcesses(machine);
  options.signal.throwIfAborted();
  const said = (await readFile(log, "utf8").catch(() => "")).trim().slice(-4096);
  const words =
    said || (came ? "init ended at once and said nothing" : `init was not up after ${startMs} ms`);
  throw new DriverError("sandbox_unusable", words, false);
}

/** What has entered a machine waits outside for what it has started inside. */
export function waitersOf(init: number): number[] {
  return findByArguments("nsenter", "-t", String(init));
}

/**
 * Ends every process of the machine, in whatever state a start was left, and waits until they are gone.
 * There is no grace: it is what pulling the plug is to a machine, and what was written stays written.
 */
export async function endProcesses(machine: MachineFolder): Promise<void> {
  let named = false;
  let left: number[] = [];
  const graceOver = performance.now() + graceMs;
  const gone = await waitUntil(
    async () => {
      const init = await readRuntime(machine);
      const started = findByArguments(startTag, machine.path);
      if (init && (await isAlive(init))) {
        // The others only wait for it; left alone, they collect it and end.
        named = true;
        left = [init.pid, ...started];
        signalProcess(init.pid, "SIGKILL");
        // One that has stopped with its command collects nothing, and the kernel waits for that.
        for (const pid of waitersOf(init.pid)) if (isStopped(pid)) signalProcess(pid, "SIGCONT");
        return false;
      }
      left = started;
      if (named && performance.now() < graceOver) return started.length === 0;
      for (const pid of started) signalProcess(pid, "SIGKILL");
      return started.length === 0;
    },
    { withinMs: endMs },
  );
  if (!gone) {
    const words = `processes of the machine did not end: ${left.join(", ")}; try again`;
    throw new DriverError("stop_failed", words, true);
  }
  // The kernel has ended the commands with init; what is left of them is our shell, writing down how.
  await waitUntil(() => findByArguments(execTag, machine.path).length === 0, { withinMs: recordMs });
  for (const pid of findByArguments(execTag, machine.path)) signalProcess(pid, "SIGKILL");
  for (const name of ["runtime.json", "ready", "asks", "entered"]) {
    await rm(join(machine.path, name), { force: true });
  }
}
