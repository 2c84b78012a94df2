/** What a refresh found different from what the state had recorded of a machine. Pure. */
import { isDeepStrictEqual } from "node:util";
import { machineType, snapshotType } from "../loader";
import { argumentNames } from "../machine/args";
import type { PlannedResource } from "./grouping";
import type { Properties } from "./preview";
import type { PropertyChange } from "./property-diff";

export interface Drift {
  urn: string;
  kind: "machine" | "snapshot";
  name: string;
  /** True: it is not there any more. */
  gone: boolean;
  changes: PropertyChange[];
}

/** Falling asleep by its own rules is no drift: a state tells it apart, and only a failure is news of the phase. */
export function driftOf(resources: readonly PlannedResource[]): Drift[] {
  return resources.flatMap(({ urn, type, name, verb, recorded, old }): Drift[] => {
    if (!recorded || recorded.external || (type !== machineType && type !== snapshotType)) return [];
    const kind = type === machineType ? "machine" : "snapshot";
    // A preview that failed on the way has no step for it.
    if (verb === "other") return [];
    if (!old || verb === "create") return [{ urn, kind, name, gone: true, changes: [] }];
    const changes = differences(recorded.outputs, old.outputs);
    return changes.length > 0 ? [{ urn, kind, name, gone: false, changes }] : [];
  });
}

function differences(before: Properties, after: Properties): PropertyChange[] {
  const names = [...argumentNames.filter((name) => name in before || name in after)] as string[];
  const failed = before.phase !== after.phase && after.phase === "failed";
  return [...names, ...(failed ? ["phase", "reason"] : [])]
    .filter((name) => !isDeepStrictEqual(before[name], after[name]))
    .map((path) => ({
      path,
      ...(before[path] === undefined ? {} : { before: before[path] }),
      ...(after[path] === undefined ? {} : { after: after[path] }),
    }));
}
