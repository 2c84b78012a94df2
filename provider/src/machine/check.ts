/** Checks and completes what a program asks for. Pure; runs in every preview, one resource after the other. */
import { checkOne, notAnArgument, type Checked, type CheckFailure, type CheckWorld } from "../check-args";
import { isHidden, isUnknown } from "../hidden";
import { argumentNames, machineArgs, sizeDefaults, sizeNames } from "./args";
import { changeEffects } from "./changes";
import { ruleFailures } from "./rules";

/** They say how an operation is done, not what the machine is: nothing to record where nothing was said. */
const unrecorded = argumentNames.filter(
  (name) => name in changeEffects && changeEffects[name as keyof typeof changeEffects].local === "none",
);

/**
 * @param olds The inputs in the state; empty for a new machine.
 * @param news What the program asks for; may hold values that are not known yet.
 */
export function checkMachine(
  olds: Record<string, unknown>,
  news: Record<string, unknown>,
  { backend }: CheckWorld,
): Checked {
  const inputs: Record<string, unknown> = {};
  const failures: CheckFailure[] = [];
  const defaults: string[] = [];
  const oldDefaults = Array.isArray(olds.__defaults) ? (olds.__defaults as unknown[]) : [];
  const isNew = Object.keys(olds).length === 0;
  const hasSource = news.from !== undefined || news.adopt !== undefined;

  for (const [name, value] of Object.entries(news)) {
    if (isHidden(name)) inputs[name] = value;
    else if (!(argumentNames as string[]).includes(name))
      failures.push(notAnArgument(name, "a Machine", argumentNames));
  }
  for (const name of argumentNames) {
    const given = news[name] ?? undefined;
    if (isUnknown(given)) {
      inputs[name] = given;
      continue;
    }
    if (given === undefined && unrecorded.includes(name)) continue;
    let value: unknown = given;
    if (given === undefined && isSize(name)) {
      // A machine made from another one, or taken over, keeps the size that it has.
      if (hasSource || (!isNew && olds[name] === undefined)) continue;
      defaults.push(name);
      value = oldDefaults.includes(name) ? olds[name] : sizeDefaults[name];
    }
    const checked = checkOne(machineArgs, name, value);
    failures.push(...checked.failures);
    if (checked.value !== undefined) inputs[name] = checked.value;
  }
  if (defaults.length > 0) inputs.__defaults = defaults;
  const wrong = new Set(failures.map(({ property }) => property));
  const sizesGiven = sizeNames.filter((name) => news[name] !== undefined);
  for (const failure of ruleFailures(olds, inputs, sizesGiven, backend)) {
    if (!wrong.has(failure.property)) failures.push(failure);
  }
  return { inputs, failures };
}

const isSize = (name: string): name is (typeof sizeNames)[number] =>
  (sizeNames as readonly string[]).includes(name);
