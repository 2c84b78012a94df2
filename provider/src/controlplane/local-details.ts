/** A machine of the embedded control plane, from what both of its dialects tell of it. Pure. */
import type { NullspaceMachine } from "@pulumi-machines/sdk";
import { formatDuration } from "@pulumi-machines/sdk/duration";
import type { Lifetime, MachineDetails, MachineView } from "./port";
import { splitMetadata } from "./tags";

/** @param info undefined of a machine that the other dialect does not show any more, since it is being destroyed */
export function detailsOf(view: MachineView, info: NullspaceMachine | undefined): MachineDetails {
  const lifetime = info && lifetimeOf(view, info);
  return {
    ...view,
    ...splitMetadata(info?.metadata ?? {}),
    ...(info?.createdAt === undefined ? {} : { createdAt: info.createdAt }),
    ...(info?.template === undefined ? {} : { template: info.template }),
    ...(info?.cwd === undefined ? {} : { cwd: info.cwd }),
    ...(lifetime === undefined ? {} : { lifetime }),
    ...(info?.ephemeral === undefined ? {} : { ephemeral: info.ephemeral }),
    ...(info?.timeoutAt === undefined ? {} : { expiresAt: info.timeoutAt }),
    ...(info?.lastActiveAt === undefined ? {} : { lastActiveAt: info.lastActiveAt }),
  };
}

function lifetimeOf(view: MachineView, info: NullspaceMachine): Lifetime | undefined {
  const { timeoutMs, inactivityTimeoutMs: idleMs, autoDeleteAfterMs, timeoutAction } = info;
  // Where a machine has no inactivity of its own, that dialect tells its autosleep as one.
  const isAutosleep = idleMs !== undefined && idleMs === (view.autosleepSeconds ?? 0) * 1_000;
  const lifetime: Lifetime = {
    ...(timeoutMs === undefined ? {} : { timeout: spanText(timeoutMs) }),
    ...(idleMs === undefined || isAutosleep ? {} : { inactivity: spanText(idleMs) }),
    ...(autoDeleteAfterMs === undefined ? {} : { deleteAfterSleeping: spanText(autoDeleteAfterMs) }),
  };
  if (Object.keys(lifetime).length === 0) return undefined;
  if (timeoutAction === undefined) return lifetime;
  return { ...lifetime, then: timeoutAction === "destroy" ? "destroy" : "sleep" };
}

/** Rounded up to whole seconds. */
const spanText = (ms: number): string => formatDuration(Math.max(1, Math.ceil(ms / 1_000)));
