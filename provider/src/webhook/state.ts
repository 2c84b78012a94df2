/** What the stack's state holds of a webhook. Pure. */
import type { WebhookView } from "../controlplane/webhook-port";
import { isSame } from "./changes";

type Properties = Record<string, unknown>;

/** The computed outputs, in the order of the reference. */
export const outputDescriptions = {
  hasSecret: "True when the service signs the deliveries.",
  createdAt: "When the webhook was made (ISO 8601).",
  updatedAt: "When it was changed last (ISO 8601).",
  lastDeliveryAt: "When an event was sent last, where one was (ISO 8601).",
  lastDeliveryStatus: "How that went: queued, in_progress, succeeded, dead_letter.",
  lastError: "What the last failed delivery failed with, where one did.",
} as const;

export const outputTypes = { hasSecret: "boolean" } as const;

/** Which create the webhook came from; what no resource has that is only read. */
export interface Origin {
  /** The number of the webhook among those that the resource has had. */
  generation: number;
  /** Of the create, in the create journal. */
  key: string;
}

/** Arguments that the service answers, so that drift of them can be seen. */
const answered = ["url", "operations", "enabled"] as const;

/** The full state: the arguments as the service has them, in the program's own spelling where that says the same. */
export function stateOf(view: WebhookView, inputs: Properties, origin?: Origin): Properties {
  const live = { url: view.url, operations: [...view.operations], enabled: view.enabled };
  const state: Properties = {
    ...inputs,
    ...Object.fromEntries(
      answered.map((name) => [name, isSame(name, inputs[name], live[name]) ? inputs[name] : live[name]]),
    ),
    hasSecret: view.hasSecret,
    createdAt: view.createdAt,
    updatedAt: view.updatedAt,
    lastDeliveryAt: view.lastDeliveryAt,
    lastDeliveryStatus: view.lastDeliveryStatus,
    lastError: view.lastError,
    ...(origin ? { __generation: origin.generation, __key: origin.key } : {}),
  };
  return Object.fromEntries(Object.entries(state).filter(([, value]) => value !== undefined));
}

/** The origin that a state names; undefined of a webhook that was only read. */
export function originOf(state: Properties): Origin | undefined {
  const { __generation: generation, __key: key } = state;
  return typeof generation === "number" && typeof key === "string" ? { generation, key } : undefined;
}

/** The arguments of which the service has another value than the state. */
export const driftOf = (before: Properties, after: Properties): (typeof answered)[number][] =>
  answered.filter((name) => before[name] !== undefined && !isSame(name, before[name], after[name]));

const inputNames = ["url", "operations", "secret", "enabled", "timeouts"];
const hiddenInputs = ["__provider", "__urn", "__stackIdentity"];

/** The inputs within a state, for a refresh that found drift. */
export const inputsIn = (state: Properties): Properties =>
  Object.fromEntries(
    Object.entries(state).filter(([name]) => inputNames.includes(name) || hiddenInputs.includes(name)),
  );
