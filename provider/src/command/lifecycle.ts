/**
 * What Pulumi asks of a command, without Pulumi's types. A command that fails is not recorded, so that the next deploy runs
 * it again. One whose deploy was killed may have run, and runs again: what it does should stand being done twice.
 */
import { checkArgs } from "../check-args";
import type { Context } from "../context";
import { MachineGoneError } from "../controlplane/port";
import { patiently } from "../patience";
import type { Properties, ResourceCore } from "../shell";
import { allowedMsOf } from "../timeouts";
import { commandArgs, timeouts, type CommandInputs } from "./args";
import { diffCommand, mustRun } from "./diff";
import { maskOf, secretsIn, type Mask } from "./mask";
import { earlierOutput, runCommand } from "./run";
import { outputDescriptions, stateOf } from "./state";

const inputsOf = (properties: Properties): CommandInputs =>
  commandArgs.parse(
    Object.fromEntries(Object.entries(properties).filter(([name]) => name in commandArgs.shape)),
  );

const maskFor = (...properties: Properties[]) => maskOf(properties.flatMap(secretsIn));

/** The state keeps an output whole where it keeps it as a secret. */
const maskForState = (news: Properties, mask: Mask): Mask =>
  news.__keepsSecretOutput === true ? (text) => text : mask;

const goneText = (context: Context, machineId: string): string =>
  `command "${context.name}": machine ${machineId} does not exist any more. "pulumi refresh" takes it out of the stack`;

async function create(context: Context, news: Properties): Promise<{ id: string; outs: Properties }> {
  const inputs = inputsOf(news);
  const mask = maskFor(news);
  try {
    const outcome = await runCommand(context, inputs, { which: "create", line: inputs.create }, mask);
    return { id: context.newKey(), outs: stateOf(news, outcome, maskForState(news, mask)) };
  } catch (error) {
    if (error instanceof MachineGoneError)
      throw new Error(goneText(context, inputs.machineId), { cause: error });
    throw error;
  }
}

async function update(
  context: Context,
  _id: string,
  olds: Properties,
  news: Properties,
): Promise<Properties> {
  const inputs = inputsOf(news);
  if (!mustRun(olds, news)) return { ...earlierOutputs(olds), ...news };
  const mask = maskFor(olds, news);
  const which = inputs.update === undefined ? "create" : "update";
  const line = inputs.update ?? inputs.create;
  try {
    const outcome = await runCommand(context, inputs, { which, line, extra: earlierOutput(olds) }, mask);
    return stateOf(news, outcome, maskForState(news, mask));
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
  if (typeof machineId !== "string") return { props: state };
  try {
    const { signal } = context;
    const { phase } = await patiently(context, () => context.controlPlane.getMachine(machineId, { signal }));
    return phase === "destroyed" ? undefined : { props: state };
  } catch (error) {
    if (error instanceof MachineGoneError) return undefined;
    throw error;
  }
}

async function remove(context: Context, _id: string, state: Properties): Promise<void> {
  if (state.delete === undefined) return;
  const inputs = inputsOf(state);
  if (inputs.delete === undefined) return;
  try {
    const run = { which: "delete", line: inputs.delete, extra: earlierOutput(state) } as const;
    await runCommand(context, inputs, run, maskFor(state));
  } catch (error) {
    if (!(error instanceof MachineGoneError)) throw error;
    context.log(`nothing to undo: machine ${inputs.machineId} does not exist any more`);
  }
}

export const core: ResourceCore = {
  noun: "command",
  check: (_olds, news) =>
    checkArgs(commandArgs, news, { noun: "a Command", unrecorded: ["logging", "timeouts"] }),
  diff: diffCommand,
  create,
  read,
  update,
  remove,
  allowedMs: (properties, operation) => allowedMsOf(timeouts, properties, operation),
};
