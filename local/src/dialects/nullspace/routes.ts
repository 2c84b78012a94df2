/** The Nullspace API below `/nullspace`: every route of the published document, served or said to be missing. */
import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from "fastify";
import { RouteTable } from "../../http-routes";
import type { NullspaceDeps } from "./deps";
import { envelope, retryHeaders, type WireError, wireError } from "./errors";
import { execRoutes } from "./exec-routes";
import { fileRoutes } from "./file-routes";
import { lifecycleRoutes } from "./lifecycle-routes";
import { machineRoutes } from "./machine-routes";
import { outsideRoutes } from "./outside";
import { portRoutes } from "./port-routes";
import { ptyRoutes } from "./pty-routes";
import { toWireError } from "./refusals";
import { snapshotRoutes } from "./snapshot-routes";
import { socketPaths } from "./socket-paths";
import { Waiting } from "./waiting";
import { webhookRoutes } from "./webhook-routes";

export const nullspaceRoutes =
  (deps: NullspaceDeps): FastifyPluginAsync =>
  async (app: FastifyInstance) => {
    const waiting = new Waiting();
    const routes = new RouteTable();
    app.addHook("onRoute", ({ url, method }) => {
      routes.add(url, method);
    });
    app.addHook("preClose", async () => {
      waiting.close();
    });
    app.setErrorHandler((error, request, reply) => sendError(reply, request, error));
    app.setNotFoundHandler((request, reply) => sendError(reply, request, notFound(routes, request)));

    app.get("/healthz", async () => ({ status: "ok" }));
    machineRoutes(app, { ...deps, waiting });
    snapshotRoutes(app, { ...deps, waiting });
    execRoutes(app, { ...deps, waiting });
    ptyRoutes(app, deps);
    portRoutes(app, { ...deps, waiting });
    lifecycleRoutes(app, deps);
    webhookRoutes(app, deps);
    socketPaths(app);
    outsideRoutes(app);
    await app.register(fileRoutes({ ...deps, waiting }));
  };

/** Sends any error in this dialect's envelope. */
export function sendError(reply: FastifyReply, request: FastifyRequest, error: unknown): FastifyReply {
  const known = toWireError(error) ?? unexpected(request, error);
  return reply
    .code(known.status)
    .headers({
      ...retryHeaders(known.options.retryAfterMs),
      ...known.options.headers,
      "x-request-id": request.id,
    })
    .type("application/json")
    .send(JSON.stringify(envelope(known, request.id)));
}

function unexpected(request: FastifyRequest, error: unknown): WireError {
  request.log.error({ err: error, reqId: request.id }, "unexpected error");
  return wireError(500, "internal_error", `internal error; the log has it under request ${request.id}`);
}

function notFound(routes: RouteTable, request: FastifyRequest): WireError {
  const methods = routes.methodsOf(request.url.split("?", 1)[0] ?? "");
  if (methods.length === 0) return wireError(404, "not_found", "there is no such path");
  const allow = methods.join(", ");
  return wireError(405, "invalid_request", `this path takes ${allow}`, { headers: { allow } });
}
