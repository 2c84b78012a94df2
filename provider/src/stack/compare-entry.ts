/** How a machine differs from what the state says of it, by the rules of a refresh. Pure. */
import { parseDuration } from "@pulumi-machines/sdk/duration";
import { longestLeaseMs } from "../controlplane/nullspace-create";
import type { MachineDetails, MachineView } from "../controlplane/port";
import { driftedInputs, lineageOf, stateOf } from "../machine/state";
import type { Entry } from "./stack-state";

type Properties = Record<string, unknown>;

const sizes = { vcpu: "vCPUs", memoryMiB: "MiB of memory", storageGiB: "GiB of disk" } as const;
const limits = ["timeout", "inactivity", "deleteAfterSleeping"] as const;

export interface Drift {
  /** "2 vCPUs and not 1". */
  sizes: string[];
  /** "autosleep 30m and not 15m". */
  settings: string[];
  /** "lifetime.timeout 2h and not 8h". */
  lifetime: string[];
  /** The desired state that it has, where that is another one. */
  desire?: { has: string; asked: string };
}

export function driftOf(view: MachineView | MachineDetails, entry: Entry): Drift {
  const before = entry.outputs;
  const after = stateOf(view, before, lineageOf(before));
  const drifted = driftedInputs(before, after) ?? {};
  const differs = (name: string): boolean => name in drifted && before[name] !== after[name];
  const drift: Drift = {
    sizes: Object.entries(sizes)
      .filter(([name]) => differs(name))
      .map(([name, unit]) => `${String(after[name])} ${unit} and not ${String(before[name])}`),
    settings: differs("autosleep")
      ? [`autosleep ${textOf(after.autosleep)} and not ${textOf(before.autosleep)}`]
      : [],
    lifetime: "lifetime" in view || "metadata" in view ? lifetimeDrift(view, before.lifetime) : [],
  };
  if (differs("desiredState")) {
    drift.desire = { has: String(after.desiredState), asked: String(before.desiredState) };
  }
  return drift;
}

export const isDrift = ({ sizes: sized, settings, lifetime, desire }: Drift): boolean =>
  sized.length + settings.length + lifetime.length > 0 || desire !== undefined;

/** Only what the program asked for: the rest is the service's own choice. */
function lifetimeDrift({ lifetime = {}, autosleepSeconds = 0 }: MachineDetails, asked: unknown): string[] {
  if (typeof asked !== "object" || asked === null) return [];
  const wanted = asked as Properties;
  const lines = limits
    .filter((name) => wanted[name] !== undefined && !sameSpan(wanted[name], lifetime[name]))
    // Where one clock counts for both, an inactivity that lets the machine sleep is told as its autosleep.
    .filter((name) => name !== "inactivity" || !sameSpan(wanted[name], String(autosleepSeconds)))
    .map((name) => `lifetime.${name} ${textOf(lifetime[name])} and not ${textOf(wanted[name])}`);
  const { then } = wanted;
  if (then !== undefined && lifetime.then !== undefined && then !== lifetime.then) {
    lines.push(`lifetime.then ${lifetime.then} and not ${textOf(then)}`);
  }
  return lines;
}

/** None is never, and so is the longest lease of a service that has no machine without one. */
function sameSpan(one: unknown, other: unknown): boolean {
  const seconds = (text: unknown): number | undefined => {
    if (text === undefined) return 0;
    try {
      const span = typeof text === "string" ? parseDuration(text) : undefined;
      return span !== undefined && span * 1_000 >= longestLeaseMs ? 0 : span;
    } catch {
      return undefined; // Written by another version: it is simply different.
    }
  };
  return seconds(one) === seconds(other);
}

const textOf = (value: unknown): string => (typeof value === "string" ? value : "none");

/** What sets it back: a plain deploy compares the program with the state, and knows nothing of the drift. */
export const setsBack = '"pulumi up --refresh" sets it back';

/** What repairs a machine that failed: a deploy that does not know of the failure has nothing to do. */
export const repairCommand = ({ outputs, initErrors }: Entry): string =>
  outputs.phase === "failed" || initErrors.length > 0 ? "pulumi up" : "pulumi up --refresh";
