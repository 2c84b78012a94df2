/** Which properties of a resource differ between what is there and what the program wants. Pure. */
import { isDeepStrictEqual } from "node:util";
import { isHidden } from "../hidden";
import type { PlannedResource } from "./grouping";
import type { Properties } from "./preview";

export interface PropertyChange {
  /** With its path: `env.PATH`, `triggers.0`. */
  path: string;
  /** Absent: it was not there. */
  before?: unknown;
  /** Absent: it is there no more. */
  after?: unknown;
}

const maxChanges = 200;

/** Values are masked already. At most 200; `more` says how many there are beyond. */
export function propertyChanges({ old, new: next, verb }: PlannedResource): {
  changes: PropertyChange[];
  more: number;
} {
  const all: PropertyChange[] = [];
  const before = old ? standing(old.inputs, old.outputs) : {};
  const after = verb === "delete" ? {} : (next?.inputs ?? {});
  collect("", visible(before), visible(after), all);
  return { changes: all.slice(0, maxChanges), more: Math.max(0, all.length - maxChanges) };
}

/** The inputs with the values that are in force: outputs repeat inputs, and a refresh brings them up to date. */
const standing = (inputs: Properties, outputs: Properties): Properties =>
  Object.fromEntries(Object.entries(inputs).map(([name, value]) => [name, outputs[name] ?? value]));

const visible = (properties: Properties): Properties =>
  Object.fromEntries(
    Object.entries(properties).filter(
      ([name, value]) => !isHidden(name) && value !== undefined && value !== null,
    ),
  );

function collect(prefix: string, before: Properties, after: Properties, into: PropertyChange[]): void {
  for (const name of [...new Set([...Object.keys(before), ...Object.keys(after)])].sort()) {
    const path = prefix + name;
    const [was, is] = [before[name], after[name]];
    if (isDeepStrictEqual(was, is)) continue;
    if (isRecord(was) && isRecord(is)) collect(`${path}.`, was, is, into);
    else
      into.push({
        path,
        ...(was === undefined ? {} : { before: was }),
        ...(is === undefined ? {} : { after: is }),
      });
  }
}

const isRecord = (value: unknown): value is Properties =>
  typeof value === "object" && value !== null && !Array.isArray(value);
