/**
 * Holds a machine's processes for a moment. Whoever holds them lets go when the control plane ends; should it be
 * killed as well, a file in the machine's folder tells the next start, stop or sweep.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { DriverError } from "../../driver";
import type { MachineFolder } from "../machine-folder";
import { isDeaf, isStill, isStopped, signalProcess } from "../process-table";
import { waitUntil } from "../wait-until";
import type { Freezer } from "./cgroups";
import { hostEnv } from "./host";
import type { Insider } from "./insiders";

/** A process that waits for a disk or a network file system cannot be held before that answers. */
const patienceMs = 5000;

/** As long as it takes a waiter to see that its process has stopped, on a host that is not too busy. */
const noticeMs = 5;

/** $1 file, $2 what freezes, $3 what thaws. */
const freezeScript = `echo "$2" >"$1" || exit 1
echo held
read -r _
echo "$3" >"$1"`;

/**
 * Runs inside, where -1 is everything but init and itself: one signal to all at once, which no fork escapes.
 */
const stopScript = `kill -STOP -1
echo held
read -r _
kill -CONT -1`;

export interface HoldPlace {
  freezer: Freezer | undefined;
  /** Stands before a command to run it inside. */
  entrance: readonly string[];
  /** Every process inside but init. */
  insiders: () => Insider[];
  /** Processes outside that wait for one inside: when that is stopped they stop themselves, and do not go on by themselves. */
  waiters: () => readonly number[];
}

/** Stopped, traced, or ended and not collected. */
const still = new Set(["T", "t", "Z", "X"]);

const noteOf = (machine: MachineFolder): string => join(machine.path, "held");

/** Answers what lets go. @throws DriverError snapshot_failed: not everything could be held; it goes on then. */
export async function hold(machine: MachineFolder, place: HoldPlace): Promise<() => Promise<void>> {
  const { freezer } = place;
  await writeFile(noteOf(machine), freezer ? "frozen" : "stopped");
  const before = freezer ? [] : place.insiders().filter((one) => one.state === "T");
  const waiters = freezer ? [] : place.waiters();
  // What is stopped with its waiter already is its user's.
  const idle = new Set(waiters.filter(isStopped));
  // First, so that they do not notice.
  for (const pid of waiters) if (!idle.has(pid)) signalProcess(pid, "SIGSTOP");
  const helper = await startHelper(
    freezer
      ? ["/bin/sh", "-c", freezeScript, "sh", freezer.file, freezer.hold, freezer.release]
      : [...place.entrance, "/bin/sh", "-c", stopScript],
  );
  const letGo = async (): Promise<void> => {
    await helper.end();
    // Killed before it could: then we do it.
    if (freezer)
      await writeFile(freezer.file, freezer.release).catch(() => undefined); // the machine has ended
    else if (!helper.endedWell()) await releaseInside(place.entrance);
    for (const { pid } of before) signalProcess(pid, "SIGSTOP"); // its user had stopped it
    if (!freezer) await wake(() => place.waiters().filter((pid) => !idle.has(pid)));
    await rm(noteOf(machine), { force: true });
  };
  let letting: Promise<void> | undefined;
  const release = (): Promise<void> => (letting ??= letGo());
  const isHeld = async (): Promise<boolean> => {
    if (!freezer) return stopAll(place.insiders().filter((one) => one.parent !== helper.pid));
    const [file, pattern] = freezer.seen;
    const text = await readFile(join(dirname(freezer.file), file), "utf8").catch(() => "");
    return pattern.test(text);
  };
  if (helper.held && (await waitUntil(isHeld, { withinMs: patienceMs, everyMs: 1 }))) return release;
  await release();
  throw new DriverError(
    "snapshot_failed",
    "the machine's processes could not be held for a moment: one of them waits for a disk or network; try again",
    true,
  );
}

/** Lets go what a killed control plane held; a no-op where nothing is. */
export async function releaseLeft(
  machine: MachineFolder,
  place: {
    freezer: Freezer | undefined;
    entrance: () => Promise<readonly string[]>;
    waiters: () => readonly number[];
  },
): Promise<void> {
  const how = await readFile(noteOf(machine), "utf8").catch(() => undefined);
  if (how === undefined) return;
  if (place.freezer) await writeFile(place.freezer.file, place.freezer.release).catch(() => undefined);
  if (how === "stopped") {
    await releaseInside(await place.entrance().catch(() => []));
    await wake(place.waiters);
  }
  await rm(noteOf(machine), { force: true });
}

/** One that has just seen its process stop may stop itself after it was woken: it is looked for twice. */
async function wake(waiters: () => readonly number[]): Promise<void> {
  for (const pid of waiters()) signalProcess(pid, "SIGCONT");
  await sleep(noticeMs);
  for (const pid of waiters()) if (isStopped(pid)) signalProcess(pid, "SIGCONT");
}

/** Also what has entered since; answers whether nothing moved any more. */
function stopAll(insiders: readonly Insider[]): boolean {
  const moving = insiders.filter((one) => !still.has(one.state) || !isStill(one.pid));
  for (const { pid } of moving) {
    signalProcess(pid, "SIGSTOP");
    if (!isDeaf(pid)) continue;
    // What it may wait for goes on until the next look.
    for (const child of insiders) if (child.parent === pid) signalProcess(child.pid, "SIGCONT");
  }
  return moving.length === 0;
}

async function releaseInside(entrance: readonly string[]): Promise<void> {
  if (entrance.length === 0) return; // it does not run
  const helper = await startHelper([...entrance, "/bin/sh", "-c", "kill -CONT -1; echo held"]);
  await helper.end();
}

interface Helper {
  /** False when it ended before. */
  held: boolean;
  /** Of what we started: where that enters a machine, the parent of what runs inside. */
  pid: number | undefined;
  end(): Promise<void>;
  endedWell(): boolean;
}

async function startHelper([program = "", ...args]: readonly string[]): Promise<Helper> {
  const child = spawn(program, args, {
    ...{ detached: true, stdio: ["pipe", "pipe", "ignore"], cwd: "/", env: hostEnv },
  });
  const ended = once(child, "close").catch(() => undefined);
  child.stdin.on("error", () => undefined); // it has ended: `ended` tells
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const said = await lines.next();
  return {
    held: said.value === "held",
    pid: child.pid,
    end: async () => {
      child.stdin.end();
      await ended;
    },
    endedWell: () => child.exitCode === 0,
  };
}
