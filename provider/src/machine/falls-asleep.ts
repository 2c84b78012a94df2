/** Whether a machine goes to sleep by its own rules, so that finding it asleep is no surprise. Pure. */
import type { Lifetime, MachineView } from "../controlplane/port";

/** True when its autosleep, or a limit of its lifetime, may have put it to sleep; also where a service does not say. */
export function sleepsByItself(view: Pick<MachineView, "autosleepSeconds">, lifetime: unknown): boolean {
  if (view.autosleepSeconds !== 0) return true;
  if (typeof lifetime !== "object" || lifetime === null) return false;
  const { timeout, inactivity, then } = lifetime as Lifetime;
  return (
    then !== "destroy" && [timeout, inactivity].some((limit) => limit !== undefined && limit !== "never")
  );
}
