/** What the stack's state holds of a machine. Pure. */
import { formatDuration, parseDuration } from "@pulumi-machines/sdk/duration";
import type { Lifetime, MachineView } from "../controlplane/port";
import { argumentNames } from "./args";
import { sameSpan, sameValue } from "./changes";
import { sleepsByItself } from "./falls-asleep";

/** Counts the forms of the state; a newer provider reads every older one. */
export const schemaVersion = 1;

/** The computed outputs, in the order of the reference. */
export const outputDescriptions = {
  phase:
    "What the machine is doing: accepted, placement_pending, starting, running, stopping, sleeping, destroying, failed.",
  reason: "Why the machine is in this phase, in the service's words.",
  lastError: "The service's words on the last failure, where there was one.",
  retryable: "True when the service says that asking again may mend a failure.",
  revision: "The service's opaque count of the machine's changes.",
  autosleepSeconds: "The autosleep in force, in seconds; 0 is never.",
  createdAt: "When the machine was made, where the service says so (ISO 8601).",
  lastTransitionAt: "When the machine came into its phase, where the service says so (ISO 8601).",
  schemaVersion: "The form of this state.",
} as const;

/** The number of the machine among those this resource has had, and the create that answered it last. */
export interface Lineage {
  generation: number;
  claim: string;
}

/**
 * The full state: the live values under the names of the arguments, the computed outputs, and everything hidden that
 * was there before. Plain JSON, nothing undefined.
 */
export function stateOf(
  view: MachineView,
  inputs: Record<string, unknown>,
  lineage: Lineage | undefined,
): Record<string, unknown> {
  const state: Record<string, unknown> = {
    ...inputs,
    vcpu: view.vcpu,
    memoryMiB: view.memoryMiB,
    storageGiB: view.storageGiB ?? inputs.storageGiB,
    autosleep: liveAutosleep(view, inputs.autosleep),
    desiredState: liveDesire(view, inputs),
    phase: view.phase,
    reason: view.reason,
    lastError: view.lastError,
    retryable: view.retryable,
    revision: view.revision,
    autosleepSeconds: view.autosleepSeconds,
    createdAt: view.createdAt ?? inputs.createdAt,
    lastTransitionAt: view.lastTransitionAt,
    schemaVersion,
    ...(lineage ? { __generation: lineage.generation, __claim: lineage.claim } : {}),
  };
  return Object.fromEntries(Object.entries(state).filter(([, value]) => value !== undefined));
}

/** The user's own text as long as it says what the machine has; only where the user gave one. */
function liveAutosleep(view: MachineView, asked: unknown): unknown {
  if (typeof asked !== "string" || view.autosleepSeconds === undefined) return asked;
  return parseDuration(asked) === view.autosleepSeconds ? asked : formatDuration(view.autosleepSeconds);
}

/** A machine that fell asleep by its own rules is still a running one in the program's terms. */
function liveDesire(view: MachineView, inputs: Record<string, unknown>): unknown {
  const asked = inputs.desiredState;
  if (asked === "any" || (view.desiredState !== "running" && view.desiredState !== "sleeping")) return asked;
  const fellAsleep =
    asked === "running" && view.desiredState === "sleeping" && sleepsByItself(view, inputs.lifetime);
  return fellAsleep ? asked : view.desiredState;
}

/** What the program asked of a lifetime, with what the service has of it; members that it did not name are not its own. */
export function liveLifetime(asked: unknown, live: Lifetime | undefined): Lifetime | undefined {
  if (typeof asked !== "object" || asked === null || live === undefined) return undefined;
  const wanted = asked as Lifetime;
  const timeout =
    wanted.timeout === undefined || live.timeout === undefined || sameSpan(wanted.timeout, live.timeout)
      ? {}
      : { timeout: live.timeout };
  const then = wanted.then === undefined || live.then === undefined ? {} : { then: live.then };
  return { ...wanted, ...timeout, ...then };
}

export function lineageOf(state: Record<string, unknown>): Lineage | undefined {
  const { __generation: generation, __claim: claim } = state;
  return typeof generation === "number" && typeof claim === "string" ? { generation, claim } : undefined;
}

/** The inputs within a state: the arguments and what is hidden, without the computed outputs. */
export function inputsIn(state: Record<string, unknown>): Record<string, unknown> {
  const hidden = ["__provider", "__urn", "__stackIdentity", "__replaceOnStorageChange", "__defaults"];
  const names = new Set<string>([...argumentNames, ...hidden]);
  return Object.fromEntries(Object.entries(state).filter(([name]) => names.has(name)));
}

/** What a machine was created with, as far as an argument differs from the live value; undefined without drift. */
export function driftedInputs(
  before: Record<string, unknown>,
  after: Record<string, unknown>,
): Record<string, unknown> | undefined {
  const names = ["vcpu", "memoryMiB", "storageGiB", "autosleep", "desiredState", "lifetime"] as const;
  const drifted = names.filter((name) => before[name] !== undefined && !sameValue(before[name], after[name]));
  if (drifted.length === 0) return undefined;
  const inputs = { ...inputsIn(before), ...Object.fromEntries(drifted.map((name) => [name, after[name]])) };
  if (Array.isArray(before.__defaults)) {
    // What drifted is no default any more, else the next check would keep the drifted value.
    inputs.__defaults = (before.__defaults as string[]).filter(
      (name) => !(drifted as string[]).includes(name),
    );
  }
  return inputs;
}
