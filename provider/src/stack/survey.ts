/** What a stack's state says, and what the backend has: all that `doctor` compares. Gathered by look.ts. */
import type { Backend } from "../controlplane/capabilities";
import type { MachineDetails } from "../controlplane/port";
import type { JournalEntry } from "../journal";
import type { StackState } from "./stack-state";

export type Look =
  | { kind: "there"; machine?: MachineDetails }
  | { kind: "gone" }
  /** It is on another backend than the stack is set to. */
  | { kind: "elsewhere"; backend: string }
  | { kind: "unasked"; why: string };

export interface Survey {
  backend: Backend;
  /** Whether the backend keeps tags. */
  hasTags: boolean;
  state: StackState;
  /** By the id of the state's entry. */
  looks: ReadonlyMap<string, Look>;
  /** Machines that carry this stack's identity, and are not destroyed. */
  tagged: readonly MachineDetails[];
  /** Machines with the names of this project and stack, and another identity. */
  namesakes: readonly MachineDetails[];
  /** Creates of this stack that this computer began and that never answered, with their machine where one is known. */
  interrupted: readonly { entry: JournalEntry; look?: Look }[];
  /** By create key: what this computer remembers, for the machines that the state does not know. */
  journal: ReadonlyMap<string, JournalEntry>;
  /** By id of a machine that the state does not know: the machine that it is a copy of. */
  copiedFrom: ReadonlyMap<string, string>;
}
