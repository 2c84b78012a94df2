/**
 * Lets a server stop as soon as it has answered what it was asked. Node closes connections that rest after an answer, but
 * waits for those on which nothing was ever asked, and clients open some in advance.
 */
import type { Server, ServerResponse } from "node:http";

/** Returns what to call when the server closes: cuts every connection when all answers are out, or after `graceMs`. */
export function drainable(server: Server): (graceMs: number) => void {
  const answering = new Set<ServerResponse>();
  server.on("request", (_request, response) => {
    answering.add(response);
    response.once("close", () => answering.delete(response));
  });
  return (graceMs) => {
    const cut = () => {
      server.closeAllConnections();
    };
    const cutWhenDone = () => {
      if (answering.size === 0) setImmediate(cut);
    };
    for (const response of answering) response.once("close", cutWhenDone);
    cutWhenDone();
    setTimeout(cut, graceMs).unref();
  };
}
