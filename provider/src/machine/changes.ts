/**
 * What a change of each argument does to the machine, by backend: the one table behind the diff, the lines of a preview,
 * the report for pull requests and the reference. Pure.
 */
import { isDeepStrictEqual } from "node:util";
import { parseDuration } from "@pulumi-machines/sdk/duration";
import type { Backend } from "../controlplane/capabilities";
import { isUnknown } from "../hidden";

/** "none": it only says how operations are done. "restart": the same machine and disk, its processes end. */
export type ChangeEffect = "in place" | "restart" | "replace" | "none";

const everywhere = (effect: ChangeEffect): Record<Backend, ChangeEffect> => ({
  local: effect,
  dedalus: effect,
  nullspace: effect,
});
const replacedOnNullspace: Record<Backend, ChangeEffect> = {
  ...everywhere("in place"),
  nullspace: "replace",
};

/** By argument, or by member of one: `lifetime.timeout`. A replacement loses the disk, unless `beforeReplace` is "snapshot". */
export const changeEffects = {
  vcpu: replacedOnNullspace,
  memoryMiB: replacedOnNullspace,
  storageGiB: replacedOnNullspace,
  autosleep: replacedOnNullspace,
  desiredState: everywhere("in place"),
  template: everywhere("replace"),
  from: everywhere("replace"),
  adopt: everywhere("none"),
  env: everywhere("replace"),
  cwd: everywhere("replace"),
  metadata: everywhere("replace"),
  "lifetime.timeout": everywhere("in place"),
  "lifetime.then": everywhere("in place"),
  "lifetime.inactivity": everywhere("replace"),
  "lifetime.deleteAfterSleeping": everywhere("replace"),
  ephemeral: everywhere("replace"),
  autoResume: everywhere("replace"),
  "network.egress": { ...everywhere("in place"), local: "restart" },
  "network.allowPublicTraffic": everywhere("replace"),
  "network.maskRequestHost": everywhere("replace"),
  triggers: everywhere("replace"),
  beforeReplace: everywhere("none"),
  failure: everywhere("none"),
  timeouts: everywhere("none"),
  replaceOnStorageShrink: everywhere("none"),
} as const satisfies Record<string, Record<Backend, ChangeEffect>>;

export type ChangeName = keyof typeof changeEffects;

export interface Change {
  name: ChangeName;
  effect: ChangeEffect;
  /** True when the new value is not known yet: then nothing is said of a replacement. */
  unknown: boolean;
}

/** The argument that a change belongs to. */
export const argumentOf = (name: ChangeName): string => name.split(".")[0] as string;

type Properties = Record<string, unknown>;

const memberOf = (properties: Properties, name: ChangeName): unknown => {
  const [argument = "", member] = name.split(".");
  const value = properties[argument];
  if (member === undefined || isUnknownText(value)) return value;
  return typeof value === "object" && value !== null ? (value as Properties)[member] : undefined;
};

const isUnknownText = (value: unknown): boolean => typeof value === "string" && isUnknown(value);

/** Where the program says nothing, the machine keeps what it has. */
const keptWhenAbsent: readonly ChangeName[] = [
  "vcpu",
  "memoryMiB",
  "storageGiB",
  "autosleep",
  "desiredState",
];

/**
 * What differs, and what that does.
 * @param olds What the state says of the machine: its live values. @param news The checked inputs.
 */
export function changesBetween(olds: Properties, news: Properties, backend: Backend): Change[] {
  return (Object.keys(changeEffects) as ChangeName[])
    .filter((name) => changeEffects[name][backend] !== "none" && differs(name, olds, news))
    .map((name) => ({
      name,
      effect: changeEffects[name][backend],
      unknown: isUnknown(memberOf(news, name)),
    }));
}

function differs(name: ChangeName, olds: Properties, news: Properties): boolean {
  const before = memberOf(olds, name);
  const after = memberOf(news, name);
  if (after === undefined && keptWhenAbsent.includes(name)) return false;
  if (isUnknown(after)) return true;
  if (name === "autosleep") return !sameSpan(liveAutosleep(olds), after);
  if (name.startsWith("lifetime.") && name !== "lifetime.then") return !sameSpan(before, after);
  return !sameValue(before, after);
}

/** Null is what the engine makes of a value that is not there. */
export const sameValue = (one: unknown, other: unknown): boolean =>
  isDeepStrictEqual(one ?? undefined, other ?? undefined);

const liveAutosleep = (olds: Properties): unknown =>
  typeof olds.autosleepSeconds === "number" ? `${String(olds.autosleepSeconds)}s` : olds.autosleep;

/** Old states were checked when they were written; a text that does not parse any more is simply different. */
export function sameSpan(before: unknown, after: unknown): boolean {
  if (before === after) return true;
  try {
    return (
      typeof before === "string" &&
      typeof after === "string" &&
      parseDuration(before) === parseDuration(after)
    );
  } catch {
    return false;
  }
}

/** What a change of an argument does, in the words of the reference. */
export function changeText(argument: string): string {
  const names = (Object.keys(changeEffects) as ChangeName[]).filter((name) => argumentOf(name) === argument);
  const texts = names.map((name) => ({ member: name.split(".")[1], text: effectText(changeEffects[name]) }));
  if (texts.every(({ text }) => text === texts[0]?.text)) return texts[0]?.text ?? "";
  return texts.map(({ member, text }) => `\`${String(member)}\`: ${text}`).join("; ");
}

const words: Record<ChangeEffect, string> = {
  "in place": "in place",
  restart: "restarts",
  replace: "replaces",
  none: "no change to the machine",
};

function effectText(effects: Record<Backend, ChangeEffect>): string {
  const { local, dedalus, nullspace } = effects;
  if (local === nullspace) return words[local];
  if (local === dedalus) return `${words[local]}; ${words[nullspace]} on nullspace`;
  return `${words[nullspace]}; ${words[local]} on local`;
}
