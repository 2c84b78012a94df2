/** Waiting until a machine is as desired: by its revisions, never by asking again. */
import type { DesiredState } from "@pulumi-machines/sdk/dedalus/rules";
import { Refusal } from "./control-plane";
import type { Host } from "./host";
import type { MachineActor } from "./reconciler";
import type { MachineRecord } from "./record";

/**
 * Resolves with the first record that is in the desired state.
 * @throws Refusal transition_failed when it will not get there by itself; the signal's reason.
 */
export async function settled(
  host: Pick<Host, "log">,
  actor: MachineActor,
  desired: DesiredState,
  signal: AbortSignal,
): Promise<MachineRecord> {
  signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<MachineRecord>();
  const abort = () => {
    reject(signal.reason as Error);
  };
  signal.addEventListener("abort", abort, { once: true });
  let end: (() => void) | undefined;
  try {
    const look = (machine: MachineRecord) => {
      if (machine.phase === desired) resolve(machine);
      else if (isLost(machine, desired)) reject(transitionFailed(machine, desired));
    };
    end = await host.log.follow(actor.id, undefined, () => actor.load(), look);
    return await promise;
  } finally {
    signal.removeEventListener("abort", abort);
    end?.();
    // Nobody waits any more; what comes too late is no fault.
    promise.catch(() => undefined);
  }
}

const isLost = (machine: MachineRecord, desired: DesiredState): boolean =>
  machine.phase === "failed" || machine.phase === "destroyed" || machine.desiredState !== desired;

const sentence = {
  running: "did not come to run",
  sleeping: "did not go to sleep",
  destroyed: "was not destroyed",
} as const satisfies Record<DesiredState, string>;

/** In the machine's own words. */
function transitionFailed(machine: MachineRecord, desired: DesiredState): Refusal {
  const { id, phase, reason, lastError, retryable } = machine;
  const why =
    phase === "failed"
      ? `${reason}: ${lastError ?? "no error given"}`
      : `it was told to be ${machine.desiredState} instead`;
  return new Refusal("transition_failed", `the machine ${sentence[desired]}: ${why}`, {
    retryable,
    details: {
      machine_id: id,
      current_observed_state: phase,
      target_desired_state: desired,
      reason,
      ...(lastError === null ? {} : { last_error: lastError }),
    },
  });
}
