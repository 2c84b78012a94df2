/** What the stack's state holds of a snapshot. Pure. */
import { splitMetadata } from "../controlplane/tags";
import type { SnapshotView } from "../controlplane/snapshot-port";

type Properties = Record<string, unknown>;

/** The computed outputs, in the order of the reference. */
export const outputDescriptions = {
  sizeBytes: "How much the snapshot holds, in bytes.",
  createdAt: "When it was taken (ISO 8601).",
} as const;

/** Which create the snapshot came from; what no resource has that is only read. */
export interface Origin {
  /** The number of the snapshot among those that the resource has had. */
  generation: number;
  /** The idempotency key that it was asked for with. */
  key: string;
  /** The create that answered it last: two entries of a state may name the same snapshot for a while. */
  claim: string;
}

/**
 * The full state. The arguments stay as the program gave them, since nothing can change them; one that was not given is
 * told as the service has it only where there is no program, in a `get`.
 */
export function stateOf(view: SnapshotView, inputs: Properties, origin?: Origin): Properties {
  const isGet = inputs.machineId === undefined;
  const { metadata } = splitMetadata(view.metadata);
  const state: Properties = {
    ...inputs,
    machineId: inputs.machineId ?? view.machineId,
    metadata: isGet ? metadata : inputs.metadata,
    sizeBytes: view.sizeBytes,
    createdAt: view.createdAt,
    ...(origin ? { __generation: origin.generation, __key: origin.key, __claim: origin.claim } : {}),
  };
  return Object.fromEntries(Object.entries(state).filter(([, value]) => value !== undefined));
}

/** The origin that a state names; undefined of a snapshot that was only read. */
export function originOf(state: Properties): Origin | undefined {
  const { __generation: generation, __key: key, __claim: claim } = state;
  return typeof generation === "number" && typeof key === "string" && typeof claim === "string"
    ? { generation, key, claim }
    : undefined;
}
