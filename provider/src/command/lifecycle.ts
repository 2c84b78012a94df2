/**
 * What Pulumi asks of a command, without Pulumi's types. A command that fails is not recorded, so that the next deploy runs
 * it again. One whose deploy was killed is found again on the same computer: see run-once.ts.
 */
import type { Context } from "../context";
import { MachineGoneError } from "../controlplane/port";
import { patiently } from "../patience";
import type { Properties, ResourceCore } from "../shell";
import { allowedMsOf } from "../timeouts";
import { commandArgs, timeouts, type CommandInputs } from "./args";
import { checkCommand } from "./check";
import { diffCommand, mustRun } from "./diff";
import { earlierOutput } from "./earlier-output";
import { secrecyOf } from "./mask";
import { runCommand } from "./run";
import type { CommandIdentity } from "./run-once";
import { outputDescriptions, stateOf } from "./state";

const inputsOf = (properties: Properties): CommandInputs =>
  commandArgs.parse(
    Object.fromEntries(Object.entries(properties).filter(([name]) => name in commandArgs.shape)),
  );

const goneText = (context: Context, machineId: string): string =>
  `command "${context.name}": machine ${machineId} does not exist any more. "pulumi refresh" takes it out of the stack`;

/** @throws Error in words: without an identity nobody knows which run is whose */
function identityOf(
  { name }: Context,
  { __stackIdentity: stackIdentity, __urn: urn, triggers }: Properties,
  which: CommandIdentity["which"],
  id?: string,
): CommandIdentity {
  if (typeof stackIdentity === "string" && typeof urn === "string")
    return { stackIdentity, urn, which, id, triggers };
  throw new Error(
    `command "${name}": nothing was run: its resource was not made by the class Command of pulumi-machines, so that nothing ` +
      `says which command is its own`,
  );
}

async function create(context: Context, news: Properties): Promise<{ id: string; outs: Properties }> {
  const inputs = inputsOf(news);
  try {
    const run = { identity: identityOf(context, news, "create"), line: inputs.create };
    const outcome = await runCommand(context, inputs, run, secrecyOf(news));
    return { id: context.newKey(), outs: stateOf(news, outcome) };
  } catch (error) {
    if (error instanceof MachineGoneError)
      throw new Error(goneText(context, inputs.machineId), { cause: error });
    throw error;
  }
}

async function update(context: Context, id: string, olds: Properties, news: Properties): Promise<Properties> {
  const inputs = inputsOf(news);
  if (!mustRun(olds, news)) return { ...news, ...earlierOutputs(olds) };
  const which = inputs.update === undefined ? "create" : "update";
  const line = inputs.update ?? inputs.create;
  try {
    const run = { identity: identityOf(context, news, which, id), line, extra: earlierOutput(olds) };
    return stateOf(news, await runCommand(context, inputs, run, secrecyOf(olds, news)));
  } catch (error) {
    if (error instanceof MachineGoneError)
      throw new Error(goneText(context, inputs.machineId), { cause: error });
    throw error;
  }
}

/** How the last run went: kept when nothing has to run. */
const earlierOutputs = (olds: Properties): Properties =>
  Object.fromEntries(Object.entries(olds).filter(([name]) => name in outputDescriptions));

/** What a command did cannot be looked at; it is gone with its machine. */
async function read(
  context: Context,
  _id: string,
  state: Properties,
): Promise<{ props: Properties } | undefined> {
  const { machineId } = state;
  if (typeof machineId !== "string")
    throw new Error("nothing keeps how a command went but its own stack: Command.get finds none");
  try {
    const { signal } = context;
    const { phase } = await patiently(context, () => context.controlPlane.getMachine(machineId, { signal }));
    return phase === "destroyed" ? undefined : { props: state };
  } catch (error) {
    if (error instanceof MachineGoneError) return undefined;
    throw error;
  }
}

async function remove(context: Context, id: string, state: Properties): Promise<void> {
  if (state.delete === undefined) return;
  const inputs = inputsOf(state);
  if (inputs.delete === undefined) return;
  try {
    const run = {
      identity: identityOf(context, state, "delete", id),
      line: inputs.delete,
      extra: earlierOutput(state),
    };
    await runCommand(context, inputs, run, secrecyOf(state));
  } catch (error) {
    if (!(error instanceof MachineGoneError)) throw error;
    context.log(`nothing to undo: machine ${inputs.machineId} does not exist any more`);
  }
}

export const core: ResourceCore = {
  noun: "command",
  check: (_olds, news) => checkCommand(news),
  diff: diffCommand,
  create,
  read,
  update,
  remove,
  allowedMs: (properties, operation) => allowedMsOf(timeouts, properties, operation),
};
