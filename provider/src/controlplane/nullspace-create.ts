/** A machine as a resource asks for it, in Nullspace's words. Pure. */
import type { NullspaceClient } from "@pulumi-machines/sdk";
import { parseDuration } from "@pulumi-machines/sdk/duration";
import type { Lifetime, MachineSpec } from "./port";

type CreateParams = NonNullable<Parameters<NullspaceClient["machines"]["create"]>[0]>;

/**
 * The service has no machine without a lease, and destroys by default when it ends. A program that says nothing of one means
 * a machine that stays: a year, and then it sleeps.
 */
export const longestLeaseMs = 365 * 86_400_000;

const mibPerGib = 1024;

/** What a lease is to be: after the year, or the timeout that the program gave. */
export function leaseOf(lifetime: Lifetime | undefined, ephemeral: boolean) {
  return {
    timeoutMs: spanMs(lifetime?.timeout) ?? longestLeaseMs,
    timeoutAction: ephemeral || lifetime?.then === "destroy" ? ("destroy" as const) : ("hibernate" as const),
  };
}

/** @param spec not one that is made from a machine: that is a fork */
export function createParams(spec: MachineSpec): CreateParams {
  const { from, lifetime, network, ephemeral } = spec;
  const metadata = { ...spec.metadata, ...spec.tags };
  const lease = leaseOf(lifetime, ephemeral === true);
  const inactivityTimeoutMs = spanMs(spec.autosleep) ?? spanMs(lifetime?.inactivity);
  const policies = {
    ...lease,
    ...(inactivityTimeoutMs === undefined ? {} : { inactivityTimeoutMs }),
    autoDeleteAfterMs: spanMs(lifetime?.deleteAfterSleeping),
    ephemeral,
    // Use wakes what sleeps, unless the program says otherwise.
    autoResume: spec.autoResume ?? lease.timeoutAction === "hibernate",
    ...(Object.keys(metadata).length > 0 ? { metadata } : {}),
    network,
  };
  if (from && "snapshot" in from) return { ...policies, snapshotId: from.snapshot };
  return {
    ...policies,
    template: spec.template,
    vcpus: spec.vcpu,
    memoryMb: spec.memoryMiB,
    diskMb: spec.storageGiB === undefined ? undefined : spec.storageGiB * mibPerGib,
    envs: spec.env,
    cwd: spec.cwd,
  };
}

/** Undefined for "never". */
function spanMs(text: string | undefined): number | undefined {
  const seconds = text === undefined ? 0 : parseDuration(text);
  return seconds === 0 ? undefined : seconds * 1_000;
}
