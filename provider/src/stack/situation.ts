/** All that is known of one machine, gathered before anything is said of it. */
import type { Backend } from "../controlplane/capabilities";
import type { CommandView } from "../controlplane/command-port";
import type { EventView } from "../controlplane/event-port";
import type { MachineDetails } from "../controlplane/port";
import type { DeliveryView, WebhookView } from "../controlplane/webhook-port";
import type { Entry, PendingOperation } from "./stack-state";
import type { StackUpdate } from "./stack-updates";

/** What the service says of the machine itself. */
export type Sight =
  | { kind: "there"; machine: MachineDetails }
  /** The service knows no machine of this id. */
  | { kind: "gone" }
  /** There is no id to ask for. */
  | { kind: "none" }
  /** It could not be asked; says why. */
  | { kind: "unasked"; why: string };

/** How the id was found, where no state entry has it. */
export type FoundBy = "id" | "tags" | "journal" | "history";

export interface Delivery extends DeliveryView {
  webhook: Pick<WebhookView, "url">;
}

export interface Situation {
  name: string;
  id?: string;
  backend: Backend;
  nowMs: number;
  sight: Sight;
  /** Of this stack's state. */
  entry?: Entry;
  foundBy?: FoundBy;
  pending?: PendingOperation;
  /** Oldest first; undefined where the backend keeps no history. */
  events?: readonly EventView[];
  /** Of this stack, oldest first; undefined where they could not be read. */
  updates?: readonly StackUpdate[];
  commands: readonly CommandView[];
  deliveries: readonly Delivery[];
  /** What could not be read, and why: one line each. */
  missing: readonly string[];
}
