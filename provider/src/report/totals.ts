/** How much the stack's machines have together, before and after. Pure. */
import { machineType } from "../loader";
import type { PlannedResource } from "./grouping";
import type { Properties } from "./preview";

export interface Total {
  before: number;
  after: number;
  /** How many machines of each side have a size that is not known yet. */
  unknownBefore: number;
  unknownAfter: number;
}

export interface Totals {
  /** False: only of the machines that change, since the preview was made without `--show-sames`. */
  complete: boolean;
  machines: Pick<Total, "before" | "after">;
  vcpu: Total;
  memoryMiB: Total;
  storageGiB: Total;
}

/** Machines that are only read are not the stack's own, and not counted. */
export function totalsOf(resources: readonly PlannedResource[], complete: boolean): Totals {
  const own = resources.filter(({ type, verb }) => type === machineType && verb !== "read");
  const before = own.flatMap(({ old, verb }) =>
    old && verb !== "create" && !old.external ? [{ ...old.inputs, ...old.outputs }] : [],
  );
  const after = own.flatMap(({ old, new: next, verb }) => {
    if (verb === "delete" || !next || next.external) return [];
    // An argument that the program leaves out keeps what the machine has.
    return [verb === "replace" || !old ? next.inputs : { ...old.inputs, ...old.outputs, ...next.inputs }];
  });
  const total = (name: string): Total => {
    const [was, is] = [sumOf(before, name), sumOf(after, name)];
    return { before: was.sum, after: is.sum, unknownBefore: was.unknown, unknownAfter: is.unknown };
  };
  return {
    complete,
    machines: { before: before.length, after: after.length },
    vcpu: total("vcpu"),
    memoryMiB: total("memoryMiB"),
    storageGiB: total("storageGiB"),
  };
}

function sumOf(machines: readonly Properties[], name: string): { sum: number; unknown: number } {
  const sizes = machines.map((machine) => machine[name]);
  const known = sizes.filter((size): size is number => typeof size === "number");
  return { sum: known.reduce((sum, size) => sum + size, 0), unknown: sizes.length - known.length };
}
