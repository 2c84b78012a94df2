/** Paths of WebSockets, asked for over plain HTTP. */
import type { FastifyInstance } from "fastify";
import { wireError } from "./errors";

const paths = ["/v1/machines/:id/ws", "/v1/machines/:id/lifecycle/ws", "/v1/lifecycle/ws", "/v1/monitor/ws"];

/** An upgrade never comes here: the server takes it before any route. */
export function socketPaths(app: FastifyInstance): void {
  for (const path of paths) {
    app.get(path, async () => {
      throw wireError(426, "invalid_request", "this path is a WebSocket: ask for it with an upgrade", {
        headers: { upgrade: "websocket", connection: "upgrade" },
      });
    });
  }
}
