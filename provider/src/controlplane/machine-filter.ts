/** Whether a machine passes a filter, for backends that have no words for it. Pure. */
import { isDeepStrictEqual } from "node:util";
import type { MachineDetails, MachineFilter } from "./port";

export function passes(machine: MachineDetails, filter: MachineFilter): boolean {
  const { phases, template, metadata = {}, tags = {} } = filter;
  return (
    (phases === undefined ? machine.phase !== "destroyed" : phases.includes(machine.phase)) &&
    (template === undefined || machine.template === template) &&
    Object.entries(metadata).every(([name, value]) => isDeepStrictEqual(machine.metadata[name], value)) &&
    Object.entries(tags).every(([name, value]) => machine.tags[name] === value)
  );
}
