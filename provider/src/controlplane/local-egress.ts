/**
 * The network policy of a machine on the embedded control plane, which can change only while the machine does not run: it is put to
 * sleep, changed and woken.
 */
import { randomUUID } from "node:crypto";
import { RefusedError, type CallOptions, type ControlPlane, type Network } from "./port";

export type Egress = NonNullable<Network["egress"]>;

/** @param set changes the policy; refused with `INVALID_STATE` while the machine runs */
export async function changeEgress(
  plane: Pick<ControlPlane, "getMachine" | "sleepMachine" | "wakeMachine" | "watchMachine">,
  id: string,
  set: () => Promise<void>,
  { signal }: CallOptions,
): Promise<void> {
  const options = (): { signal: AbortSignal; idempotencyKey: string } => ({
    signal,
    idempotencyKey: randomUUID(),
  });
  let isOurSleep = false;
  try {
    for (;;) {
      try {
        await set();
        return;
      } catch (error) {
        if (!(error instanceof RefusedError) || error.code !== "INVALID_STATE") throw error;
      }
      signal.throwIfAborted();
      const { phase, desiredState } = await plane.getMachine(id, { signal });
      if (phase === "running" && desiredState === "running") {
        await plane.sleepMachine(id, options());
        isOurSleep = true;
      }
      // To its end: asleep, failed, or, for a machine that was just starting, running.
      for await (const view of plane.watchMachine(id, { signal })) if (view.phase === "sleeping") break;
    }
  } finally {
    if (isOurSleep && !signal.aborted) await plane.wakeMachine(id, options());
  }
}
