/** Calls that wait for a machine to be where they asked it to be, and what they say of one that failed. */
import { type ControlPlane, type Machines, Refusal } from "../../engine/control-plane";
import type { MachineRecord } from "../../engine/record";
import { type WireError, wireError } from "./errors";
import { machineId } from "./ids";
import { machineState } from "./machine-state";

type Desired = Parameters<Machines["settled"]>[1];

/** A machine of this dialect is gone when it is destroyed. @throws WireError 404 */
export async function living({ machines }: ControlPlane, id: string): Promise<MachineRecord> {
  const machine = await machines.get(id);
  if (machineState(machine) !== "destroyed") return machine;
  throw wireError(404, "machine_not_found", `machine ${machineId(id)} is destroyed`);
}

/** Resolves when a new machine has run for the first time, whatever became of it since. @throws WireError */
export async function usable(
  { machines }: ControlPlane,
  id: string,
  signal: AbortSignal,
): Promise<MachineRecord> {
  const now = await machines.get(id);
  if (now.firstRunningAt !== null) return now;
  try {
    return await machines.settled(id, "running", signal);
  } catch (error) {
    if (!isTransitionFailure(error)) throw error;
    const then = await machines.get(id);
    if (then.firstRunningAt !== null) return then;
    throw failure(then, "start", error);
  }
}

/** @throws WireError 503 when the machine fails, 409 when it is asked for something else meanwhile */
export async function settled(
  { machines }: ControlPlane,
  id: string,
  { desired, signal }: { desired: Desired; signal: AbortSignal },
): Promise<MachineRecord> {
  try {
    return await machines.settled(id, desired, signal);
  } catch (error) {
    if (!isTransitionFailure(error)) throw error;
    throw failure(await machines.get(id), verbs[desired], error);
  }
}

const verbs = { running: "start", sleeping: "hibernate", destroyed: "be destroyed" } as const;

const isTransitionFailure = (error: unknown): error is Refusal =>
  error instanceof Refusal && error.code === "transition_failed";

/** What the machine itself says of its failure, and what to do about it. */
function failure(machine: MachineRecord, verb: string, cause: Refusal): WireError {
  const id = machineId(machine.id);
  const state = machineState(machine);
  const details = {
    machine_id: id,
    status: state,
    reason: machine.reason,
    ...(machine.lastError === null ? {} : { last_error: machine.lastError }),
  };
  if (state !== "error") {
    return wireError(409, "transition_conflict", cause.message, {
      retryable: cause.options.retryable ?? false,
      details,
      cause,
    });
  }
  const words = [machine.reason, machine.lastError].filter((text) => text !== null).join(": ");
  return wireError(
    503,
    machine.reason === "insufficient_capacity" ? "capacity_exceeded" : "internal_error",
    `machine ${id} could not ${verb}: ${words}. It is kept in the state error: ` +
      `resume tries again, delete removes it`,
    { retryable: machine.retryable, details, cause },
  );
}
