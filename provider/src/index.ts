export { Machine, type MachineArgs } from "./machine/resource";
export { Command, type CommandArgs } from "./command/resource";
export { File, type FileArgs } from "./file/resource";
export { Environment } from "./environment/environment";
export type { EnvironmentArgs } from "./environment/args";
export { Snapshot, type SnapshotArgs } from "./snapshot/resource";
export { Webhook, type WebhookArgs } from "./webhook/resource";
export {
  getMachine,
  getMachineOutput,
  listLifecycleEvents,
  listLifecycleEventsOutput,
  listMachines,
  listMachinesOutput,
  type GetMachineArgs,
  type ListLifecycleEventsArgs,
  type ListMachinesArgs,
} from "./functions";
export type { LifecycleEventInfo, MachineInfo } from "./functions/results";
export { references, type ResourceReference } from "./references";
export type { ReferenceEntry } from "./reference";
