/** A machine as a resource asks for it, in the words of the embedded control plane's own create. Pure. */
import type { CreateLocalMachineParams } from "@pulumi-machines/sdk";
import { parseDuration } from "@pulumi-machines/sdk/duration";
import { stateId } from "./local-ids";
import type { Lifetime, MachineSpec } from "./port";

export function createParams(spec: MachineSpec): CreateLocalMachineParams {
  const { vcpu, memoryMiB, storageGiB, autosleep, template, from, env, cwd, lifetime = {}, network } = spec;
  const metadata = { ...spec.metadata, ...spec.tags };
  const ephemeral = spec.ephemeral === true;
  const timeoutAction = actionOf(lifetime, ephemeral);
  return {
    dedalus: { vcpu, memoryMiB, storageGiB, autosleep },
    nullspace: {
      template,
      ...(from && "snapshot" in from ? { snapshotId: from.snapshot } : {}),
      envs: env,
      cwd,
      ...(Object.keys(metadata).length > 0 ? { metadata } : {}),
      timeoutMs: spanMs(lifetime.timeout),
      timeoutAction,
      inactivityTimeoutMs: spanMs(lifetime.inactivity),
      autoDeleteAfterMs: spanMs(lifetime.deleteAfterSleeping),
      ephemeral: spec.ephemeral,
      // As on Dedalus, use wakes what sleeps, unless the program says otherwise.
      autoResume: spec.autoResume ?? timeoutAction === "hibernate",
      network,
    },
    ...(from && "machine" in from ? { forkOf: stateId(from.machine) } : {}),
  };
}

export const actionOf = ({ then }: Lifetime, ephemeral: boolean): "hibernate" | "destroy" =>
  ephemeral || then === "destroy" ? "destroy" : "hibernate";

/** Undefined for "never". */
export function spanMs(text: string | undefined): number | undefined {
  const seconds = text === undefined ? 0 : parseDuration(text);
  return seconds === 0 ? undefined : seconds * 1_000;
}
