/** Who may open a WebSocket: the checks of an HTTP request, before the upgrade. */
import type { IncomingMessage } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { Refusal } from "../../../engine/control-plane";
import { type KeyCheck, requireOwnHost } from "../../../http-auth";
import { refused } from "../../../http-errors";
import type { NullspaceDeps } from "../deps";
import { WireError, wireError } from "../errors";
import { machineId as shown } from "../ids";
import { living } from "../transitions";
import { type Target, targetOf } from "./target";

export interface GateDeps extends Pick<NullspaceDeps, "settings" | "controlPlane" | "faults"> {
  keys: KeyCheck;
  prefix: string;
}

export interface Admitted {
  target: Target;
  /** Set by the fault script: the client is not told that it was let in. */
  loseAnswer: boolean;
}

/**
 * The key comes before the path: whoever has none learns nothing of what there is.
 * @throws WireError, ApiError, Refusal; the signal's reason
 */
export async function admit(
  request: IncomingMessage,
  deps: GateDeps,
  signal: AbortSignal,
): Promise<Admitted> {
  requireOwnHost(request.headers, deps.settings.host);
  const asked = targetIn(request, deps.prefix);
  requireKey(request, deps.keys, !(asked instanceof WireError) && asked.kind === "monitor");
  const loseAnswer = await rehearse(request, deps, signal);
  if (asked instanceof WireError) throw asked;
  await requireSubject(asked, deps.controlPlane);
  return { target: asked, loseAnswer };
}

function targetIn({ url = "" }: IncomingMessage, prefix: string): Target | WireError {
  try {
    return targetOf(url, prefix);
  } catch (error) {
    if (error instanceof WireError) return error;
    throw error;
  }
}

/** Subprotocols that the client offers. */
export const offeredProtocols = ({ headers }: IncomingMessage): string[] =>
  (headers["sec-websocket-protocol"] ?? "")
    .split(",")
    .map((word) => word.trim())
    .filter((word) => word !== "");

/** A browser can send no header with an upgrade but its subprotocols: the monitor takes the key there, too. */
function requireKey(request: IncomingMessage, keys: KeyCheck, asProtocol: boolean): void {
  const offered = asProtocol ? offeredProtocols(request) : [];
  if (request.headers.authorization === undefined && offered.some((word) => isKey(keys, word))) return;
  keys.require(request.headers);
}

export function isKey(keys: KeyCheck, word: string): boolean {
  try {
    keys.require({ authorization: `Bearer ${word}` });
    return true;
  } catch {
    // The refusal is told for the request as a whole.
    return false;
  }
}

/** Delays, refuses, or loses the answer, as the fault script says of a GET of this path. */
async function rehearse(
  { url = "" }: IncomingMessage,
  { faults, prefix }: GateDeps,
  signal: AbortSignal,
): Promise<boolean> {
  const path = url.split("?", 1)[0] ?? "";
  if (!path.startsWith(`${prefix}/`)) return false;
  const rule = faults.forRequest("GET", path.slice(prefix.length));
  if (!rule) return false;
  if (rule.delayMs !== undefined) await sleep(rule.delayMs, undefined, { signal });
  if (rule.refuse) {
    const { status, errorCode, message, retryable, retryAfterMs } = rule.refuse;
    throw refused(status, {
      ...{ error_code: errorCode, message, retryable },
      ...(retryAfterMs === undefined ? {} : { retry_after_ms: retryAfterMs }),
    });
  }
  return rule.loseAnswer;
}

/** @throws WireError, Refusal 404. What a machine was outlives it: its log can be followed when it is gone. */
async function requireSubject(target: Target, controlPlane: GateDeps["controlPlane"]): Promise<void> {
  if (target.kind === "monitor" || target.machineId === undefined) return;
  const { machineId } = target;
  if (target.kind === "machine") {
    await living(controlPlane, machineId);
    return;
  }
  try {
    await controlPlane.machines.get(machineId);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const page = { offset: 0, limit: 1, order: "desc" } as const;
    const { events } = await controlPlane.lifecycle.page({ machineId }, page);
    if (events.length === 0) {
      throw wireError(404, "machine_not_found", `there is no machine ${shown(machineId)}`, { cause: error });
    }
  }
}
