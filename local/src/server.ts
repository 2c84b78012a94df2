/** The HTTP server: what holds for every request, whatever the dialect. */
import { randomUUID } from "node:crypto";
import { STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import fastify, {
  LogController,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from "fastify";
import { adminRoutes, type LocalStatus } from "./admin-routes";
import { lifecycle } from "./dialects/dedalus/render";
import { dedalusRoutes } from "./dialects/dedalus/routes";
import { StatusStreams } from "./dialects/dedalus/status-streams";
import { nullspaceRoutes, sendError } from "./dialects/nullspace/routes";
import { nullspaceSockets } from "./dialects/nullspace/sockets/sockets";
import { ownRoutes } from "./dialects/own/routes";
import type { ControlPlane } from "./engine/control-plane";
import type { Faults } from "./faults";
import { KeyCheck, requireOrganization, requireOwnHost } from "./http-auth";
import { drainable } from "./http-drain";
import { ApiError, problem, refused } from "./http-errors";
import { RouteTable } from "./http-routes";
import type { HttpSettings } from "./settings";

export const maxBodyBytes = 1_048_576;
/** They need no key; the last one's is the grant in its query. */
const publicRoutes = ["/healthz", "/nullspace/healthz", "/nullspace/v1/machines/:id/signed-file"];
const dedalus = "/dedalus";
const nullspace = "/nullspace";
/** Beside what is the control plane's own and no API: its status and the fault script. */
const own = "/local";
const ownApi = `${own}/v1`;
/** A request has to be there completely within this time; uploads of files take their time. */
const requestTimeoutMs = 300_000;
/** Connections that are still open so long after the end are cut. */
const closeGraceMs = 2_000;

declare module "fastify" {
  interface FastifyRequest {
    /** Set by the fault script: do what is asked and lose the answer. */
    loseAnswer: boolean;
  }
}

export interface ServerDeps {
  settings: HttpSettings;
  controlPlane: ControlPlane;
  faults: Faults;
  status: () => Promise<LocalStatus>;
}

/** An app without routes yet, so that the engine can log before there is anything to ask. */
export function createApp(log: { write(line: string): void }): FastifyInstance {
  return fastify({
    bodyLimit: maxBodyBytes,
    requestTimeout: requestTimeoutMs,
    // Node would refuse it with an empty answer; see requireOwnHost.
    http: { requireHostHeader: false },
    forceCloseConnections: "idle",
    exposeHeadRoutes: false,
    logController: new LogController({ disableRequestLogging: true }),
    routerOptions: { maxParamLength: 300 },
    genReqId: () => randomUUID(),
    // A logger for each request would live as long as its stream; lines name their request themselves.
    childLoggerFactory: (logger) => logger,
    logger: {
      level: "info",
      base: null,
      stream: log,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
    },
    clientErrorHandler: answerMalformed,
    frameworkErrors: (error, request, reply) => {
      const found = problem(error.statusCode ?? 400, error.message);
      void (isBelow(nullspace, request) ? sendError(reply, request, found) : send(reply, request, found));
    },
  });
}

/** Registers every route and listens. Returns the port. */
export async function serve(app: FastifyInstance, deps: ServerDeps): Promise<number> {
  const { settings } = deps;
  const closing = new AbortController();
  const routes = new RouteTable();
  const streams = new StatusStreams(settings.heartbeatMs, settings.streamBacklogBytes, (machine) =>
    JSON.stringify(lifecycle(machine, settings)),
  );
  const keys = new KeyCheck(settings.apiKey);
  const drain = drainable(app.server);

  app.decorateRequest("loseAnswer", false);
  app.addHook("onRoute", ({ url, method }) => {
    routes.add(url, method);
  });
  acceptJsonOnly(app);
  app.addHook("onRequest", async (request, reply) => {
    reply.header("x-request-id", request.id);
    requireOwnHost(request.headers, settings.host);
    // By the route that was found, never by the path as it was sent: the router decodes it, so "/%64edalus" is a way in.
    const route = request.routeOptions.url;
    if (route !== undefined && publicRoutes.includes(route)) return;
    keys.require(request.headers);
    const path = pathOf(request);
    if (route?.startsWith(`${dedalus}/`) ?? path.startsWith(`${dedalus}/`)) {
      requireOrganization(request.headers, settings.organizationId);
    }
    const dialect = path.startsWith(`${ownApi}/`)
      ? own
      : [dedalus, nullspace].find((prefix) => path.startsWith(`${prefix}/`));
    if (dialect) await rehearse(deps.faults, request, path.slice(dialect.length), closing.signal);
  });
  app.addHook("onSend", async (request, reply) => {
    if (request.loseAnswer) reply.raw.destroy();
  });
  app.addHook("onResponse", async (request, reply) => {
    const ms = Math.round(reply.elapsedTime * 10) / 10;
    app.log.info(
      {
        reqId: request.id,
        method: request.method,
        url: withoutGrant(request.url),
        status: reply.statusCode,
        ms,
      },
      "answered",
    );
  });
  app.setErrorHandler((error, request, reply) => send(reply, request, toApiError(error, request)));
  app.setNotFoundHandler((request, reply) => send(reply, request, notFound(routes, request)));
  const closeSockets = nullspaceSockets(app.server, {
    ...deps,
    streams,
    keys,
    prefix: nullspace,
    log: app.log,
  });
  app.addHook("preClose", async () => {
    closing.abort();
    streams.close();
    closeSockets(closeGraceMs);
    drain(closeGraceMs);
  });

  app.get("/healthz", async () => ({ status: "ok" }));
  await app.register(adminRoutes(deps), { prefix: own });
  await app.register(ownRoutes(deps), { prefix: ownApi });
  await app.register(dedalusRoutes({ ...deps, streams }), { prefix: dedalus });
  await app.register(nullspaceRoutes({ ...deps, streams }), { prefix: nullspace });
  return listen(app, settings);
}

async function listen(app: FastifyInstance, { host, port }: HttpSettings): Promise<number> {
  try {
    await app.listen({ host, port });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const where = `port ${String(port)} of ${host}`;
    if (code === "EADDRINUSE") {
      throw new Error(
        `${where} is in use by another program: stop that one, or choose another port (--port 0 takes any that is free)`,
        { cause: error },
      );
    }
    throw new Error(`cannot listen on ${where}: ${message}`, { cause: error });
  }
  const address = app.server.address();
  return typeof address === "object" && address ? address.port : port;
}

/** A grant lets whoever has it read or write a file: it is not for the log. */
const withoutGrant = (url: string): string => url.replaceAll(/([?&]grant=)[^&]*/g, "$1...");
const pathOf = (request: FastifyRequest): string => request.url.split("?", 1)[0] ?? "";
const isBelow = (prefix: string, request: FastifyRequest): boolean =>
  pathOf(request).startsWith(`${prefix}/`);

/** Bodies are JSON or absent. Clients send the content type also where they send no body. */
function acceptJsonOnly(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser("error", "error");
  const utf8 = new TextDecoder("utf-8", { fatal: true });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("application/json", { parseAs: "buffer" }, (request, body, done) => {
    if (body.length === 0) {
      done(null, undefined);
      return;
    }
    let text: string;
    try {
      text = utf8.decode(body as Buffer);
    } catch {
      done(problem(400, "the body is not valid UTF-8"));
      return;
    }
    void parse(request, text, (error: Error | null, value?: unknown) => {
      if (error) done(problem(400, "the body is not valid JSON, or uses a forbidden key such as __proto__"));
      else done(null, value);
    });
  });
}

/** Delays, refuses, or marks a request as the fault script says. */
async function rehearse(faults: Faults, request: FastifyRequest, path: string, signal: AbortSignal) {
  const rule = faults.forRequest(request.method, path);
  if (!rule) return;
  if (rule.delayMs !== undefined) await sleep(rule.delayMs, undefined, { signal }).catch(() => undefined);
  if (rule.refuse) {
    const { status, errorCode, message, retryable, retryAfterMs } = rule.refuse;
    throw refused(status, {
      ...{ error_code: errorCode, message, retryable },
      ...(retryAfterMs === undefined ? {} : { retry_after_ms: retryAfterMs }),
    });
  }
  request.loseAnswer = rule.loseAnswer;
}

function notFound(routes: RouteTable, request: FastifyRequest): ApiError {
  const path = pathOf(request);
  const methods = routes.methodsOf(path);
  if (methods.length === 0) return problem(404, "there is no such path");
  const allow = methods.join(", ");
  return problem(405, `this path takes ${allow}`, { headers: { allow } });
}

function toApiError(error: unknown, request: FastifyRequest): ApiError {
  if (error instanceof ApiError) return error;
  const { statusCode, code, message } = error as { statusCode?: number; code?: string; message?: string };
  // Its sender went away in the middle of it: nobody will read the answer.
  if (code === "ECONNRESET") return problem(400, "the request was not sent to its end");
  if (statusCode !== undefined && statusCode < 500 && code?.startsWith("FST_")) {
    return problem(
      statusCode,
      statusCode === 413
        ? `the body is larger than ${String(maxBodyBytes)} bytes`
        : (message ?? "bad request"),
    );
  }
  request.log.error({ err: error, reqId: request.id }, "unexpected error");
  return problem(500, `internal error; the log has it under request ${request.id}`);
}

function send(reply: FastifyReply, request: FastifyRequest, error: ApiError): FastifyReply {
  return reply
    .code(error.status)
    .headers({ ...error.headers, "x-request-id": request.id })
    .type(error.contentType)
    .send(JSON.stringify(error.body));
}

/** Bytes that are no HTTP request never reach a route. */
function answerMalformed(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  const status =
    error.code === "HPE_HEADER_OVERFLOW" ? 431 : error.code === "ERR_HTTP_REQUEST_TIMEOUT" ? 408 : 400;
  const title = STATUS_CODES[status] ?? "Bad Request";
  const body = JSON.stringify(problem(status, "this is not a complete, well-formed HTTP request").body);
  socket.end(
    `HTTP/1.1 ${String(status)} ${title}\r\ncontent-type: application/problem+json\r\n` +
      `content-length: ${String(Buffer.byteLength(body))}\r\nx-request-id: ${randomUUID()}\r\nconnection: close\r\n\r\n${body}`,
  );
}
