/** What the service sends on a lifecycle socket. Pure. */
import type { MachinesError } from "../errors";
import type { Redact } from "../redact";
import { errorClassOf } from "./error-classes";
import { readJson, unreadable } from "./exec-frames";
import { lifecycleServerFrame } from "./frames";
import { lifecycleEventAnswer, type LifecycleEvent } from "./wire";

export type LifecycleFrame =
  /** `replaysAll`: the service leaves nothing out of a replay. */
  | { kind: "subscribed"; replaysAll: boolean }
  | { kind: "event"; event: LifecycleEvent }
  | { kind: "error"; message: string; code: string }
  /** A type that this version does not know. */
  | { kind: "other" };

const known = new Set(["subscribed", "error"]);
/** The vendor's own code for an error frame that names none. */
const codeless = "websocket_error";

/** @throws ProtocolError `unreadable_frame` */
export function readLifecycleFrame(text: string): LifecycleFrame {
  const frame = readJson(text);
  if (frame.type === "event") {
    const event = lifecycleEventAnswer.safeParse(frame.event);
    if (!event.success) throw unreadable(text);
    return { kind: "event", event: event.data };
  }
  if (typeof frame.type !== "string" || !known.has(frame.type)) return { kind: "other" };
  const parsed = lifecycleServerFrame.safeParse(frame);
  if (!parsed.success) throw unreadable(text);
  const { data } = parsed;
  return data.type === "error"
    ? { kind: "error", message: data.message, code: data.code?.toLowerCase() ?? codeless }
    : { kind: "subscribed", replaysAll: data.type === "subscribed" && data.replays_all === true };
}

/** An error frame as the error that ends the stream. */
export function streamError(
  what: string,
  { message, code }: { message: string; code: string },
  machineId: string | undefined,
  redact: Redact,
): MachinesError {
  return new (errorClassOf(code, 0))({ message: redact(`${what}: ${message}`), code, machineId });
}
