/** Which WebSocket a path names. Pure. */
import { wireError } from "../errors";
import { engineMachineId } from "../ids";

/** Frames that a machine's socket takes; "any" where the client named no channel, as for watching files. */
export const machineChannels = ["exec", "pty", "any"] as const;
export type MachineChannelName = (typeof machineChannels)[number];

export type Target =
  | { kind: "machine"; machineId: string; channel: MachineChannelName }
  /** Without a machine: the account's. */
  | { kind: "lifecycle"; machineId: string | undefined }
  | { kind: "monitor" };

/**
 * Each segment is decoded by itself, as the HTTP routes do it, and compared as a whole.
 * @param prefix such as "/nullspace"
 * @throws WireError 400, 404, 501
 */
export function targetOf(url: string, prefix: string): Target {
  const [path = "", query = ""] = splitOnce(url, "?");
  const segments = path.split("/").map(decoded);
  const depth = prefix.split("/").length;
  if (segments.slice(0, depth).join("/") !== prefix) throw noSuchPath();
  const [version, group, name = "", ...rest] = segments.slice(depth);
  if (version !== "v1" || segments.includes(undefined)) throw noSuchPath();
  const form =
    group === "machines" || group === "volumes" ? [group, "{id}", ...rest] : [group, name, ...rest];
  switch (form.join("/")) {
    case "machines/{id}/ws":
      return { kind: "machine", machineId: machineOf(name), channel: channelIn(query) };
    case "machines/{id}/lifecycle/ws":
      return { kind: "lifecycle", machineId: machineOf(name) };
    case "lifecycle/ws":
      return { kind: "lifecycle", machineId: undefined };
    case "monitor/ws":
      return { kind: "monitor" };
    case "volumes/{id}/ws":
      throw wireError(501, "not_implemented", "volumes are not implemented by the embedded control plane");
    default:
      throw noSuchPath();
  }
}

const noSuchPath = () =>
  wireError(
    404,
    "not_found",
    "no WebSocket is served at this path; there are /v1/machines/{id}/ws, /v1/machines/{id}/lifecycle/ws, " +
      "/v1/lifecycle/ws and /v1/monitor/ws",
  );

/** Undefined for what is no encoding: it equals nothing. */
function decoded(segment: string): string | undefined {
  try {
    const text = decodeURIComponent(segment);
    return text.includes("/") ? undefined : text;
  } catch {
    return undefined;
  }
}

function splitOnce(text: string, by: string): string[] {
  const at = text.indexOf(by);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

function machineOf(name: string): string {
  const id = engineMachineId(name);
  if (id !== undefined) return id;
  throw wireError(404, "machine_not_found", `there is no machine ${JSON.stringify(name.slice(0, 80))}`);
}

function channelIn(query: string): MachineChannelName {
  const [channel, ...more] = new URLSearchParams(query).getAll("channel");
  if (channel === undefined) return "any";
  if (more.length === 0 && (channel === "exec" || channel === "pty")) return channel;
  throw wireError(
    400,
    "invalid_request",
    "query.channel: must be exec or pty, given once; leave it out to use every kind of frame on one socket",
  );
}
