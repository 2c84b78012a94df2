export { Machine, type MachineArgs } from "./machine/resource";
export { machineReference } from "./machine/reference";
export type { ReferenceEntry } from "./reference";
