/** The HTTP server: who may ask, what every answer carries, faults on request; the dialects hang their routes into it. */
import { setTimeout as sleep } from "node:timers/promises";
import fastify, {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from "fastify";
import { adminRoutes } from "./admin";
import { sendAuthError, sendRefusal, sendScriptedRefusal } from "./dialects/dedalus/errors";
import { dedalusRoutes } from "./dialects/dedalus/routes";
import type { SizeLimits } from "./dialects/dedalus/validation";
import type { ControlPlane } from "./engine/control-plane";
import { Refusal } from "./engine/control-plane";
import { newId } from "./engine/id";
import type { Faults } from "./faults";
import { isLoopback, KeyGuard, namesLoopback } from "./http/guard";
import { OpenStreams } from "./http/open-streams";
import { Problem, sendProblem } from "./http/problem";

export interface LogEntry {
  level: "info" | "warn" | "error";
  message: string;
  [detail: string]: unknown;
}

export interface ServerOptions {
  host: string;
  /** 0 picks a free port. */
  port: number;
  apiKey: string;
  /** Requests for another organization are refused; without it any is taken. */
  organizationId?: string;
  controlPlane: ControlPlane;
  faults: Faults;
  limits: SizeLimits;
  /** Adds the newest API generation's flat `phase`, and takes `{}` as a create. */
  flatPhase: boolean;
  /** Between two heartbeats of a stream, in milliseconds. */
  heartbeatMs: number;
  /** What GET /local/status answers. */
  describe: () => Promise<Record<string, unknown>>;
  log: (entry: LogEntry) => void;
}

export interface RunningServer {
  /** Such as http://127.0.0.1:4590, without a slash at the end. */
  url: string;
  close(): Promise<void>;
}

const bodyLimitBytes = 1_048_576;
/** Longest path parameter that is looked at; ids have at most 253 characters. */
const maxParamLength = 512;

declare module "fastify" {
  interface FastifyRequest {
    /** The fault script wants this request's answer to be lost. */
    losesAnswer?: boolean;
  }
}

/** @throws when the address cannot be listened on (EADDRINUSE, EACCES, EADDRNOTAVAIL). */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const server = fastify({
    bodyLimit: bodyLimitBytes,
    routerOptions: { maxParamLength },
    forceCloseConnections: true,
    genReqId: () => newId("req_"),
    frameworkErrors: (error, _request, reply) => {
      void sendProblem(reply, new Problem(400, error.message));
    },
  });
  const streams = new OpenStreams(options.heartbeatMs);
  takeEmptyJson(server);
  guard(server, options);
  rehearse(server, options.faults);
  handleErrors(server, options);
  server.get("/healthz", () => ({ status: "ok" }));
  await server.register(adminRoutes(options), { prefix: "/local" });
  await server.register(dedalusRoutes({ ...options, streams }), { prefix: "/dedalus" });
  const url = await server.listen({ host: options.host, port: options.port });
  return {
    url,
    async close() {
      streams.close();
      await server.close();
    },
  };
}

/** Clients send `Content-Type: application/json` with no body on some calls. */
function takeEmptyJson(server: FastifyInstance): void {
  const parse = server.getDefaultJsonParser("error", "error");
  server.addContentTypeParser("application/json", { parseAs: "string" }, (request, body, done) => {
    if (body.length === 0) done(null, undefined);
    else void parse(request, body as string, done);
  });
}

function guard(server: FastifyInstance, options: ServerOptions): void {
  const keys = new KeyGuard(options.apiKey);
  const loopbackOnly = isLoopback(options.host);
  server.addHook("onRequest", async (request, reply) => {
    reply.header("x-request-id", request.id);
    if (loopbackOnly && !namesLoopback(request)) {
      return sendProblem(reply, new Problem(403, "this control plane answers on loopback names only"));
    }
    if (request.url === "/healthz") return undefined;
    const key = keys.check(request);
    if (key !== "ok") return sendAuthError(reply, key === "missing" ? "AUTH_REQUIRED" : "AUTH_INVALID");
    const organization = request.headers["x-dedalus-org-id"];
    if (
      organization !== undefined &&
      options.organizationId !== undefined &&
      organization !== options.organizationId
    ) {
      return sendAuthError(reply, "AUTH_ORG_MISMATCH");
    }
    return undefined;
  });
}

function rehearse(server: FastifyInstance, faults: Faults): void {
  server.addHook("preHandler", async (request, reply) => {
    const path = /^\/(?:dedalus|nullspace)(\/[^?]*)/.exec(request.url)?.[1];
    const rule = path === undefined ? undefined : faults.forRequest(request.method, path);
    if (!rule) return undefined;
    if (rule.delayMs !== undefined) await sleep(rule.delayMs);
    if (rule.refuse) return sendScriptedRefusal(reply, rule.refuse);
    request.losesAnswer = rule.loseAnswer;
    return undefined;
  });
  server.addHook("onSend", async (request, _reply, payload) => {
    if (request.losesAnswer) request.raw.socket.destroy();
    return payload;
  });
}

function handleErrors(server: FastifyInstance, options: ServerOptions): void {
  server.setNotFoundHandler((request, reply) => sendProblem(reply, notFound(request)));
  server.setErrorHandler((error: FastifyError | Error, request: FastifyRequest, reply: FastifyReply) => {
    if (error instanceof Refusal) return sendRefusal(reply, error);
    if (error instanceof Problem) return sendProblem(reply, error);
    const status = "statusCode" in error ? error.statusCode : undefined;
    if (status !== undefined && status >= 400 && status < 500)
      return sendProblem(reply, new Problem(status, error.message));
    options.log({
      level: "error",
      message: `unexpected error: ${error.message}`,
      requestId: request.id,
      method: request.method,
      path: request.url.split("?")[0],
      stack: error.stack,
    });
    return sendProblem(
      reply,
      new Problem(
        500,
        `unexpected error; the log names it under request ${request.id} (machines-local logs)`,
      ),
    );
  });
}

function notFound(request: FastifyRequest): Problem {
  const path = request.url.split("?")[0] ?? "";
  return path.startsWith("/nullspace")
    ? new Problem(404, "this version of the control plane serves the Dedalus dialect only, under /dedalus")
    : new Problem(404, `there is nothing at ${request.method} ${path.slice(0, 200)}`);
}
