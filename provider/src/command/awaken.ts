/** Wakes a sleeping machine for the sake of a command: a use is what a sleeping machine waits for. */
import type { Context } from "../context";
import { MachineGoneError } from "../controlplane/port";
import { converge, ConvergenceError } from "../converge";
import { reportOf } from "../failure-report";
import { patiently } from "../patience";

/** Resolves when the machine runs. @throws Error that says why it does not; MachineGoneError */
export async function awaken(context: Context, machineId: string): Promise<void> {
  const { controlPlane, signal } = context;
  const view = await patiently(context, () => controlPlane.getMachine(machineId, { signal }));
  if (view.phase === "sleeping") context.log(`waking ${machineId} for the command`);
  const goal = { state: "running", asleepIsFine: false, mustRunFirst: false } as const;
  try {
    await converge(context, goal, { view, retries: 0, mayRepair: false });
  } catch (error) {
    if (!(error instanceof ConvergenceError)) throw error;
    if (error.kind === "gone") throw new MachineGoneError(machineId, { cause: error });
    const { backend } = controlPlane;
    const { name, allowedMs, clock } = context;
    const lines = reportOf(error, { name, backend, allowedMs, nowMs: clock.now(), operation: "update" });
    throw new Error(`its machine does not run. ${lines.slice(0, 2).join("; ")}`, { cause: error });
  }
}
