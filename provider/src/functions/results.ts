/** What the functions answer: plain values. */
import type { EventView } from "../controlplane/event-port";
import type { MachineDetails } from "../controlplane/port";

/** A machine as it is now, whoever made it. */
export type MachineInfo = Omit<MachineDetails, "revision" | "requestId">;

/** Something that happened to a machine or a snapshot. */
export type LifecycleEventInfo = EventView;

/** Without what says something of the answer only. */
export function infoOf({ revision: _revision, requestId: _requestId, ...info }: MachineDetails): MachineInfo {
  return info;
}
