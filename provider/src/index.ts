export { Machine, type MachineArgs } from "./machine/resource";
export { machineReference, type ReferenceEntry } from "./machine/reference";
