/** The routes of the DCS API, below `/dedalus`. */
import type { FastifyInstance, FastifyPluginCallback, FastifyReply, FastifyRequest } from "fastify";
import type { ControlPlane, StoredAnswer } from "../../engine/control-plane";
import { Problem } from "../../http/problem";
import {
  etag,
  execution,
  executionAnswer,
  executionEvent,
  executionOutput,
  lifecycle,
  lifecycleAnswer,
  listItem,
  page,
} from "./render";
import { openStatusStream, type StatusStreamOptions } from "./status-stream";
import {
  parseCreate,
  parseExecution,
  parseIdempotency,
  parseIfMatch,
  parseMachineId,
  parsePage,
  parseUpdate,
  type SizeLimits,
} from "./validation";

export interface DedalusOptions extends Omit<StatusStreamOptions, "machines"> {
  controlPlane: ControlPlane;
  limits: SizeLimits;
}

/** Parts of the API that the embedded control plane does not have. */
const absent = ["previews", "ssh", "terminals"];

const machineOf = (request: FastifyRequest): string =>
  parseMachineId((request.params as { machine_id: string }).machine_id);

const executionOf = (request: FastifyRequest): string =>
  (request.params as { execution_id: string }).execution_id;

const sendStored = (reply: FastifyReply, answer: StoredAnswer): FastifyReply =>
  reply.code(answer.status).headers(answer.headers).type("application/json").send(answer.body);

export const dedalusRoutes =
  (options: DedalusOptions): FastifyPluginCallback =>
  (server, _options, done) => {
    machineRoutes(server, options);
    executionRoutes(server, options);
    server.get("/v1/machines/:machine_id/artifacts", async (request) => {
      parsePage(request.query);
      await options.controlPlane.machines.get(machineOf(request));
      return { items: [] };
    });
    for (const name of absent) {
      for (const url of [`/v1/machines/:machine_id/${name}`, `/v1/machines/:machine_id/${name}/*`]) {
        server.all(url, () => {
          throw new Problem(501, `the embedded control plane has no ${name}; they work on the real service`);
        });
      }
    }
    done();
  };

function machineRoutes(server: FastifyInstance, options: DedalusOptions): void {
  const { machines } = options.controlPlane;
  const { limits, flatPhase } = options;
  const answer = lifecycleAnswer(flatPhase);

  server.get("/v1/machines", async (request) =>
    page(await machines.list(parsePage(request.query)), (machine) => listItem(machine, flatPhase)),
  );

  server.post("/v1/machines", async (request, reply) => {
    const once = parseIdempotency(request);
    return sendStored(reply, await machines.create(parseCreate(request.body, options), once, answer));
  });

  server.get("/v1/machines/:machine_id", async (request, reply) => {
    const machine = await machines.get(machineOf(request));
    return reply.header("etag", etag(machine)).send(lifecycle(machine, flatPhase));
  });

  server.patch("/v1/machines/:machine_id", async (request, reply) => {
    const id = machineOf(request);
    const once = parseIdempotency(request);
    const change = parseUpdate(request.body, limits);
    return sendStored(reply, await machines.update(id, change, once, parseIfMatch(request), answer));
  });

  const desire =
    (desired: "running" | "sleeping" | "destroyed") =>
    async (request: FastifyRequest, reply: FastifyReply) => {
      const id = machineOf(request);
      const once = parseIdempotency(request);
      return sendStored(reply, await machines.desire(id, desired, once, parseIfMatch(request), answer));
    };
  server.delete("/v1/machines/:machine_id", desire("destroyed"));
  server.post("/v1/machines/:machine_id/sleep", desire("sleeping"));
  server.post("/v1/machines/:machine_id/wake", desire("running"));

  server.get("/v1/machines/:machine_id/status/stream", (request, reply) =>
    openStatusStream(machineOf(request), request, reply, { ...options, machines }),
  );
}

function executionRoutes(server: FastifyInstance, options: DedalusOptions): void {
  const { executions } = options.controlPlane;
  const base = "/v1/machines/:machine_id/executions";

  server.get(base, async (request) =>
    page(await executions.list(machineOf(request), parsePage(request.query)), execution),
  );

  server.post(base, async (request, reply) => {
    const id = machineOf(request);
    const once = parseIdempotency(request);
    return sendStored(
      reply,
      await executions.create(id, parseExecution(request.body), once, executionAnswer),
    );
  });

  server.get(`${base}/:execution_id`, async (request) =>
    execution(await executions.get(machineOf(request), executionOf(request))),
  );

  server.delete(`${base}/:execution_id`, async (request) =>
    execution(await executions.remove(machineOf(request), executionOf(request))),
  );

  server.get(`${base}/:execution_id/output`, async (request) =>
    executionOutput(await executions.output(machineOf(request), executionOf(request))),
  );

  server.get(`${base}/:execution_id/events`, async (request) =>
    page(
      await executions.events(machineOf(request), executionOf(request), parsePage(request.query)),
      executionEvent,
    ),
  );
}
