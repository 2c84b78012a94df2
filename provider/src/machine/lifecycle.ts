/**
 * Create, read, update and delete of a machine: plain functions over a context, free of Pulumi. The dynamic provider
 * is one shell over them.
 */
import { parseDuration } from "@pulumi-machines/sdk/duration";
import type { Context } from "../context";
import { converge, ConvergenceError } from "../converge";
import type { Backend } from "../controlplane/capabilities";
import {
  MachineGoneError,
  RefusedError,
  type Lifetime,
  type MachineChange,
  type MachineSpec,
  type MachineView,
  type Network,
  type Source,
} from "../controlplane/port";
import type { Goal } from "../convergence";
import { messageOf, reportOf, reportOther, type ReportContext } from "../failure-report";
import { spanOf } from "../history";
import type { ResourceIdentity } from "../identity";
import { oneLine } from "../one-line";
import { patiently } from "../patience";
import { allowedMsOf, type Operation } from "../timeouts";
import { adoptMachine } from "./adopt";
import { machineArgs, timeouts, type MachineInputs } from "./args";
import { argumentOf, changesBetween } from "./changes";
import { sayDrift } from "./drift";
import { isHidden } from "../hidden";
import { InitFailure } from "../init-failure";
import { findOrMake, LookedUpError, type Found } from "./find-machine";
import { dropSnapshot, snapshotBefore, snapshotFor } from "./replacement";
import { keyOf, sighted } from "./sighting";
import { driftedInputs, lineageOf, liveLifetime, stateOf, type Lineage } from "./state";
import { awaitGone } from "./await-gone";

type Properties = Record<string, unknown>;

/** The declared arguments among the properties, with defaults: also of a state that an older version wrote. */
export function inputsOf(properties: Properties): MachineInputs {
  const names = Object.keys(machineArgs.shape);
  return machineArgs.parse(
    Object.fromEntries(Object.entries(properties).filter(([name]) => names.includes(name))),
  );
}

/** How long an operation on these properties may take, in milliseconds. */
export const allowedMs = (properties: Properties, operation: Operation): number =>
  allowedMsOf(timeouts, properties, operation);

/** Without what the program left out: an absent member is not the same as an undefined one. */
const present = <T extends object>(value: T): T =>
  Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as T;

function specOf(inputs: MachineInputs): MachineSpec {
  const { vcpu, memoryMiB, storageGiB, autosleep, template, env, cwd, ephemeral, autoResume } = inputs;
  return present({
    ...{ vcpu, memoryMiB, storageGiB, autosleep, template, env, cwd, ephemeral, autoResume },
    from: inputs.from && (present(inputs.from) as Source),
    metadata: inputs.metadata,
    lifetime: inputs.lifetime && (present(inputs.lifetime) as Lifetime),
    network: inputs.network && (inputs.network as Network),
  }) as MachineSpec;
}

function goalOf(inputs: MachineInputs, more: Pick<Goal, "asleepIsFine" | "mustRunFirst">): Goal {
  const { vcpu, memoryMiB, storageGiB, autosleep, desiredState, lifetime } = inputs;
  const sleep = autosleep === undefined ? {} : { autosleep, autosleepSeconds: parseDuration(autosleep) };
  return { state: desiredState, vcpu, memoryMiB, storageGiB, lifetime, ...sleep, ...more };
}

/** @throws InitFailure once the machine exists; a plain Error while nothing was made. */
export async function create(
  context: Context,
  properties: Properties,
): Promise<{ id: string; outs: Properties }> {
  const inputs = inputsOf(properties);
  const { __stackIdentity: stackIdentity, __urn: urn } = properties;
  if (typeof stackIdentity !== "string" || typeof urn !== "string") {
    throw new Error(
      `machine "${context.name}" was not created: its resource was not made by the class Machine of pulumi-machines, ` +
        `so that nothing says which machine is its own`,
    );
  }
  const claim = context.newKey();
  const identity = { stackIdentity, urn };
  const found = await obtain(context, identity, inputs).catch((error: unknown) => {
    if (error instanceof LookedUpError) {
      const known = { ...properties, __generation: error.generation, __claim: claim };
      const reasons = reportOther(error.cause, { id: error.machineId }, reportContext(context, "create"));
      throw new InitFailure(error.machineId, known, reasons, { cause: error });
    }
    throw nothingMade(context, error);
  });
  const { view, accepted, generation, key, adopted, snapshotId } = found;
  await claimMachine(context, view.id, key, claim);
  if (adopted) {
    context.log(
      inputs.adopt === undefined
        ? `found again: ${view.id}, of a create that was interrupted`
        : `taken over: ${view.id}`,
    );
  }
  const outs = await reach(context, "create", {
    view,
    before: accepted,
    goal: goalOf(inputs, {
      asleepIsFine: inputs.adopt !== undefined,
      mustRunFirst: inputs.adopt === undefined,
    }),
    mayRepair: adopted,
    // A machine that is taken over has settings of its own.
    change: inputs.adopt === undefined ? {} : settingsOf(inputs),
    kept: {},
    properties,
    lineage: { generation, claim },
  });
  if (snapshotId !== undefined) await dropSnapshot(context, snapshotId);
  return { id: view.id, outs };
}

/** The machine of this resource: taken over, made from the disk of the one before, found again, or made. */
async function obtain(
  context: Context,
  identity: ResourceIdentity,
  inputs: MachineInputs,
): Promise<Found & { snapshotId?: string }> {
  if (inputs.adopt !== undefined) return adoptMachine(context, identity, inputs.adopt);
  const spec = specOf(inputs);
  const snapshotId = inputs.beforeReplace ? await snapshotFor(context, identity) : undefined;
  if (snapshotId === undefined) return findOrMake(context, identity, spec);
  const { template: _template, env: _env, cwd: _cwd, ...rest } = spec;
  const sized = context.controlPlane.capabilities.resizeOnClone ? rest : withoutSizes(rest);
  return {
    ...(await findOrMake(context, identity, { ...sized, from: { snapshot: snapshotId } })),
    snapshotId,
  };
}

function withoutSizes({ vcpu: _v, memoryMiB: _m, storageGiB: _s, ...rest }: MachineSpec): MachineSpec {
  return rest;
}

/** From here on, only the state entry with this claim stands for the machine. */
async function claimMachine(context: Context, id: string, key: string, claim: string): Promise<void> {
  const before = await context.journal.find(key);
  const superseded = [...(before?.superseded ?? []), ...(before?.claim === undefined ? [] : [before.claim])];
  context.seen.claims.set(id, claim);
  await context.journal.write({ key, claim, superseded });
}

/** True when a later create, here or in an interrupted run on this computer, took the machine over. */
async function isTakenOver(context: Context, id: string, state: Properties): Promise<boolean> {
  const { __claim: claim } = state;
  if (typeof claim !== "string") return false;
  const inThisRun = context.seen.claims.get(id);
  if (inThisRun !== undefined) return inThisRun !== claim;
  const key = keyOf(state);
  return key !== undefined && ((await context.journal.find(key))?.superseded?.includes(claim) ?? false);
}

function nothingMade(context: Context, error: unknown): Error {
  const why = context.signal.aborted
    ? `the service named no machine within ${spanOf(context.allowedMs)}; if it made one, the next "pulumi up" finds it`
    : oneLine(messageOf(error));
  if (error instanceof Error && error.name === "AmbiguousCreateError") return error;
  const id = error instanceof RefusedError ? error.requestId : undefined;
  const request = id === undefined || why.includes(id) ? "" : ` (request id ${id})`;
  return new Error(`machine "${context.name}" was not created: ${why}${request}`, { cause: error });
}

/** @throws InitFailure when the machine is not what was asked for. */
export async function update(
  context: Context,
  id: string,
  olds: Properties,
  news: Properties,
): Promise<Properties> {
  await sighted(context, id, olds);
  const inputs = inputsOf(news);
  const lineage = lineageOf(olds);
  let view: MachineView;
  try {
    view = await patiently(context, () => context.controlPlane.getMachine(id, { signal: context.signal }));
  } catch (error) {
    throw new InitFailure(id, { ...olds, ...hiddenOf(news) }, lostReasons(context, id, error), {
      cause: error,
    });
  }
  const goal = goalOf(inputs, {
    asleepIsFine: olds.desiredState === "running" && olds.phase !== "failed",
    // A machine that failed may never have run: put to sleep at once, it would hide that it cannot start.
    mustRunFirst: olds.phase === "failed",
  });
  const { lifetime, network } = olds;
  return reach(context, "update", {
    view,
    goal,
    mayRepair: true,
    change: changedSettings(olds, inputs, context.controlPlane.backend),
    kept: { lifetime, network },
    properties: news,
    lineage,
  });
}

/** What convergence does not watch, since no view shows it: it is set once, before. */
const settingsOf = ({ lifetime, network }: MachineInputs): MachineChange =>
  present({
    lifetime: lifetime as Lifetime | undefined,
    network: network as Network | undefined,
  }) as MachineChange;

function changedSettings(olds: Properties, inputs: MachineInputs, backend: Backend): MachineChange {
  const changed = new Set(changesBetween(olds, inputs, backend).map(({ name }) => argumentOf(name)));
  // Taken out of the program, a policy ends.
  const { lifetime = { timeout: "never" }, network = { egress: { mode: "allow_all" } } } = inputs;
  return {
    ...(changed.has("lifetime") ? { lifetime: present(lifetime) as Lifetime } : {}),
    ...(changed.has("network") ? { network: network as Network } : {}),
  };
}

const hiddenOf = (properties: Properties): Properties =>
  Object.fromEntries(Object.entries(properties).filter(([name]) => isHidden(name)));

function lostReasons(context: Context, id: string, error: unknown): string[] {
  if (!(error instanceof MachineGoneError))
    return reportOther(error, { id }, reportContext(context, "update"));
  return [
    `machine "${context.name}" (${id}) does not exist any more: it was destroyed outside of Pulumi`,
    `next: "pulumi refresh" takes it out of the stack, then "pulumi up" makes a new one`,
  ];
}

interface Reach {
  view: MachineView;
  before?: MachineView | undefined;
  goal: Goal;
  mayRepair: boolean;
  /** Set before the machine is watched. */
  change: MachineChange;
  /** What the state says of these settings when they could not be set. */
  kept: Properties;
  properties: Properties;
  lineage: Lineage | undefined;
}

async function reach(
  context: Context,
  operation: "create" | "update",
  { view, before, goal, mayRepair, change, kept, properties, lineage }: Reach,
): Promise<Properties> {
  let isSet = Object.keys(change).length === 0;
  try {
    const start = isSet ? view : await set(context, view.id, change);
    isSet = true;
    const { retries } = inputsOf(properties).failure;
    const reached = await converge(context, goal, { view: start, before, retries, mayRepair });
    return stateOf(reached, properties, lineage);
  } catch (error) {
    const report = reportContext(context, operation);
    const last = error instanceof ConvergenceError ? error.view : view;
    const reasons =
      error instanceof ConvergenceError ? reportOf(error, report) : reportOther(error, last, report);
    const state = stateOf(last, isSet ? properties : { ...properties, ...kept }, lineage);
    throw new InitFailure(view.id, state, reasons, { cause: error });
  }
}

function set(context: Context, id: string, change: MachineChange): Promise<MachineView> {
  context.log(`setting ${Object.keys(change).join(" and ")}`);
  const options = { signal: context.signal, idempotencyKey: context.newKey() };
  return patiently(context, () => context.controlPlane.updateMachine(id, change, options));
}

const reportContext = (context: Context, operation: ReportContext["operation"]): ReportContext => ({
  name: context.name,
  backend: context.controlPlane.backend,
  allowedMs: context.allowedMs,
  nowMs: context.clock.now(),
  operation,
});

/** The machine as it is; undefined when it is gone. `inputs` are there only when an argument drifted. */
export async function read(
  context: Context,
  id: string,
  state: Properties,
): Promise<{ props: Properties; inputs?: Properties } | undefined> {
  await sighted(context, id, state);
  try {
    const { controlPlane, signal } = context;
    // Only a whole description tells of a lifetime, and only one that the program asked for can drift.
    const view: MachineView & { lifetime?: Lifetime } = await patiently(context, () =>
      state.lifetime === undefined
        ? controlPlane.getMachine(id, { signal })
        : controlPlane.describeMachine(id, { signal }),
    );
    if (view.phase === "destroyed" || view.desiredState === "destroyed") return undefined;
    const lifetime = liveLifetime(state.lifetime, view.lifetime);
    const props = stateOf(view, { ...state, ...(lifetime ? { lifetime } : {}) }, lineageOf(state));
    const inputs = driftedInputs(state, props);
    await sayDrift(context, view, state, props);
    return inputs ? { props, inputs } : { props };
  } catch (error) {
    if (error instanceof MachineGoneError) return undefined;
    throw error;
  }
}

/** Resolves when the machine is destroyed; at once when it was already. */
export async function remove(context: Context, id: string, state: Properties): Promise<void> {
  const key = keyOf(state);
  if (await isTakenOver(context, id, state)) {
    // A replacement that was forced from outside (--replace) could not be told from an interrupted create, and took
    // over the very machine that it was to replace. What is deleted here is only the older of two entries for it.
    context.warn(
      `machine "${context.name}" (${id}) was kept, not replaced: nothing told this replacement from an interrupted create. ` +
        `For a new machine run: pulumi up --refresh --replace '${context.urn}'`,
    );
    return;
  }
  await sighted(context, id, state);
  await snapshotBefore(context, id, state);
  await awaitGone(context, id);
  if (key) await context.journal.write({ key, gone: true });
}
