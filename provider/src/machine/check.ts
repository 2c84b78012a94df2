/** Checks and completes what a program asks for. Pure; runs in every preview, one resource after the other. */
import type { z } from "zod";
import { argumentNames, changeBehaviours, keptDefaults, machineArgs } from "./args";
import { isHidden, isUnknown } from "../hidden";

export interface CheckFailure {
  /** Always a top-level name: Pulumi shows its value next to the reason. */
  property: string;
  reason: string;
}

export interface Checked {
  inputs: Record<string, unknown>;
  failures: CheckFailure[];
}

/**
 * @param olds The inputs in the state; empty for a new machine.
 * @param news What the program asks for; may hold values that are not known yet.
 */
export function checkMachine(olds: Record<string, unknown>, news: Record<string, unknown>): Checked {
  const inputs: Record<string, unknown> = {};
  const failures: CheckFailure[] = [];
  const defaults: string[] = [];
  const oldDefaults = Array.isArray(olds.__defaults) ? (olds.__defaults as unknown[]) : [];

  for (const [name, value] of Object.entries(news)) {
    if (isHidden(name)) inputs[name] = value;
    else if (!(argumentNames as string[]).includes(name)) {
      failures.push({
        property: name,
        reason: `is no argument of a Machine; known are ${argumentNames.join(", ")}`,
      });
    }
  }
  for (const name of argumentNames) {
    const given = news[name] ?? undefined;
    if (isUnknown(given)) {
      inputs[name] = given;
      continue;
    }
    // They say how an operation is done, not what the machine is: nothing to show or to record where nothing was said.
    if (given === undefined && changeBehaviours[name] === "no change to the machine") continue;
    const kept = given === undefined && (keptDefaults as readonly string[]).includes(name);
    if (kept) defaults.push(name);
    const value = kept && oldDefaults.includes(name) ? olds[name] : given;
    const parsed = (machineArgs.shape[name] as z.ZodType).safeParse(value);
    if (parsed.success) {
      if (parsed.data !== undefined) inputs[name] = parsed.data;
    } else {
      for (const issue of parsed.error.issues)
        failures.push({ property: name, reason: reasonOf(name, issue) });
    }
  }
  if (defaults.length > 0) inputs.__defaults = defaults;
  const shrink = refusedShrink(olds, inputs);
  if (shrink) failures.push(shrink);
  return { inputs, failures };
}

function reasonOf(name: string, issue: z.core.$ZodIssue): string {
  if (issue.code === "unrecognized_keys") return `has no ${issue.keys.join(", ")}`;
  const path = issue.path.length > 0 ? `${[name, ...issue.path.map(String)].join(".")} ` : "";
  return `${path}${issue.message}`;
}

/** True when the program agreed to lose the disk. */
export const mayLoseDisk = (inputs: Record<string, unknown>): boolean =>
  inputs.replaceOnStorageShrink === true || inputs.__replaceOnStorageChange === true;

function refusedShrink(
  olds: Record<string, unknown>,
  inputs: Record<string, unknown>,
): CheckFailure | undefined {
  const from = olds.storageGiB;
  const to = inputs.storageGiB;
  if (typeof from !== "number" || typeof to !== "number" || to >= from) return undefined;
  if (mayLoseDisk(inputs) || isUnknown(inputs.replaceOnStorageShrink)) return undefined;
  return {
    property: "storageGiB",
    reason:
      `a disk never shrinks (it has ${String(from)} GiB). To replace the machine and lose what is on its disk, set ` +
      `replaceOnStorageShrink: true, or the option replaceOnChanges: ["storageGiB"]`,
  };
}
