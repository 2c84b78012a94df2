/**
 * What this computer remembers of the creates it made: the request behind each idempotency key, the machine that
 * came of it, and whether the stack's state is known to hold it. A help, not the truth: creates are found again
 * without it, except when the program changed in between (docs/decisions/0002-create-identity.md).
 */
import type { MachineSpec } from "./controlplane/port";

export interface JournalEntry {
  key: string;
  /** Whose create it is. */
  stackIdentity?: string;
  urn?: string;
  /** What was asked for, without variables and metadata; absent in an entry that only says that a machine was seen in the state. */
  body?: JournaledSpec;
  machineId?: string;
  /** The snapshot of the machine before, which this one starts from; see machine/replacement.ts. */
  snapshotId?: string;
  /** The webhook that came of it, and what tells it from others where no answer came; see webhook/trace.ts. */
  webhookId?: string;
  asked?: string;
  before?: string[];
  /** The command that was started, as it was sent; see command/run-once.ts. */
  runKey?: string;
  timeoutMs?: number;
  /** The service's id of it; empty until it is known. */
  commandId?: string;
  /** The last create that answered this machine to the engine: the state's `__claim` says which. */
  claim?: string;
  /** Earlier creates that answered the same machine: a state entry with one of these is not the one in force. */
  superseded?: string[];
  /** True once the create answered the engine, well or badly: it was not interrupted. */
  answered?: boolean;
  /** True once the machine was seen in the stack's state. */
  recorded?: boolean;
  /** True once the machine is known to be destroyed. */
  gone?: boolean;
}

/** What may be written to a disk of a spec: anything in variables and metadata may be secret. */
export type JournaledSpec = Omit<MachineSpec, "env" | "metadata" | "tags">;

export function journaled({
  env: _env,
  metadata: _metadata,
  tags: _tags,
  ...rest
}: MachineSpec): JournaledSpec {
  return rest;
}

/** The request as it was sent, as far as it is known: what was not written down is taken from the present one. */
export const specOfEntry = (body: JournaledSpec, present: MachineSpec): MachineSpec => ({
  ...body,
  ...(present.env === undefined ? {} : { env: present.env }),
  ...(present.metadata === undefined ? {} : { metadata: present.metadata }),
  ...(present.tags === undefined ? {} : { tags: present.tags }),
});

export interface CreateJournal {
  find(key: string): Promise<JournalEntry | undefined>;
  /** Merges into the entry of that key. Never fails an operation: what cannot be written is not remembered. */
  write(entry: JournalEntry): Promise<void>;
  /** Creates of a stack that never answered, and whose machine was never seen in its state. */
  interrupted(stackIdentity: string): Promise<JournalEntry[]>;
}

/** What one provider process has seen of the stack's state: the engine shows it before it asks for a create. */
export interface SeenState {
  /** Ids that the state holds. */
  ids: Set<string>;
  /** By URN: the highest generation that the state held. */
  generations: Map<string, number>;
  /** By machine id: the last create that answered it in this process. */
  claims: Map<string, string>;
  /** By URN: the machine that a diff said is to be replaced by one with its disk. */
  replacing: Map<string, string>;
}

export const nothingSeen = (): SeenState => ({
  ids: new Set(),
  generations: new Map(),
  claims: new Map(),
  replacing: new Map(),
});
