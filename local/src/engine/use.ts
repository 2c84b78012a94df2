/** Making sure that a machine runs for whoever is about to do something in it. */
import { Refusal, type UseTrigger } from "./control-plane";
import type { Host } from "./host";
import { desire } from "./machine";
import type { MachineActor } from "./reconciler";
import type { MachineRecord } from "./record";
import { settled } from "./settle";

/**
 * Counts as activity; waits for a start that is under way, and wakes a machine whose lease lets it.
 * @throws Refusal machine_not_found, machine_not_running, transition_failed; the signal's reason.
 */
export async function use(
  host: Host,
  actor: MachineActor,
  trigger: UseTrigger,
  signal: AbortSignal,
): Promise<MachineRecord> {
  for (;;) {
    signal.throwIfAborted();
    const { machine, wait } = await actor.exclusive(async () => {
      const machine = await actor.load();
      const wait = waitFor(machine);
      if (wait === "nothing") await host.db.transaction().execute((tx) => actor.touch(tx));
      if (wait === "wake") {
        const at = host.now().toISOString();
        await actor.commit(desire(machine, "running", `woken by a ${trigger}`, at, "system"));
      }
      return { machine, wait };
    });
    if (wait === "nothing") return machine;
    if (wait === "sleep") await asleep(host, actor, signal);
    else await settled(host, actor, "running", signal);
  }
}

/** Waits for a sleep that is under way, or for whatever comes in between: then one looks again. */
async function asleep(host: Host, actor: MachineActor, signal: AbortSignal): Promise<void> {
  try {
    await settled(host, actor, "sleeping", signal);
  } catch (error) {
    if (!(error instanceof Refusal && error.code === "transition_failed")) throw error;
  }
}

/** What has to come first. @throws Refusal machine_not_running */
function waitFor(machine: MachineRecord): "nothing" | "start" | "sleep" | "wake" {
  const wakes = machine.desiredState === "running" || machine.lease.autoResume;
  switch (machine.phase) {
    case "running":
      if (machine.desiredState === "running") return "nothing";
      return "sleep";
    case "accepted":
    case "placement_pending":
    case "starting":
      return "start";
    case "stopping":
      // Whoever put it to sleep gets what was asked for; then it is woken.
      if (wakes) return machine.desiredState === "running" ? "start" : "sleep";
      throw notRunning(machine, "it is going to sleep; wake it first");
    case "sleeping":
      if (wakes) return machine.desiredState === "running" ? "start" : "wake";
      throw notRunning(machine, "it sleeps, and its lease does not let a use wake it; wake it first");
    case "failed": {
      const why = `it failed (${machine.reason}): ${machine.lastError ?? "no error given"}`;
      throw notRunning(machine, `${why}; wake it to try again, or destroy it`);
    }
    case "destroying":
    case "destroyed":
      throw notRunning(machine, `it is ${machine.phase}; make another one`);
    default:
      return machine.phase satisfies never;
  }
}

/** @param why what keeps it from running, and what to do */
export const notRunning = (machine: MachineRecord, why: string): Refusal =>
  new Refusal("machine_not_running", `the machine does not run: ${why}`, {
    details: { machine_id: machine.id, current_observed_state: machine.phase },
  });
