/** /v1/machines and what is below it of a machine's own life. */
import type { FastifyInstance } from "fastify";
import type { DedalusDeps } from "./deps";
import { etag, lifecycle, listItem, machineAnswer, page } from "./render";
import {
  idempotencyOf,
  machineChange,
  machineOf,
  newMachine,
  pageOf,
  preconditionOf,
  requireNoBody,
} from "./requests";
import { sendStored } from "./send-stored";
import { streamRoute } from "./stream-route";

/** The calls that only state a desired state. */
const desires = [
  { method: "POST", path: "/sleep", desired: "sleeping" },
  { method: "POST", path: "/wake", desired: "running" },
  { method: "DELETE", path: "", desired: "destroyed" },
] as const;

export function machineRoutes(app: FastifyInstance, deps: DedalusDeps): void {
  const { settings, faults, streams } = deps;
  const { machines } = deps.controlPlane;
  const render = { flatPhase: settings.flatPhase };
  const answer = machineAnswer(render);
  const reading = { limits: settings.limits, sizesOptional: settings.flatPhase };

  app.get("/v1/machines", async (request) => {
    const found = await machines.list(pageOf(request));
    return page(found, (machine) => listItem(machine, render));
  });

  app.post("/v1/machines", async (request, reply) => {
    const spec = newMachine(request.body, reading);
    const once = idempotencyOf(request, "machines", spec);
    const { autosleepSeconds, ...size } = spec;
    return sendStored(reply, await machines.create({ size, autosleepSeconds }, once, answer));
  });

  app.get("/v1/machines/:machine_id", async (request, reply) => {
    const machine = await machines.get(machineOf(request));
    reply.header("etag", etag(machine));
    return lifecycle(machine, render);
  });

  app.patch("/v1/machines/:machine_id", async (request, reply) => {
    const id = machineOf(request);
    const change = machineChange(request.body, settings.limits);
    const once = idempotencyOf(request, "machines", change);
    return sendStored(reply, await machines.update(id, change, once, preconditionOf(request), answer));
  });

  for (const { method, path, desired } of desires) {
    app.route({
      method,
      url: `/v1/machines/:machine_id${path}`,
      handler: async (request, reply) => {
        const id = machineOf(request);
        requireNoBody(request);
        const once = idempotencyOf(request, "machines", undefined);
        return sendStored(reply, await machines.desire(id, desired, once, preconditionOf(request), answer));
      },
    });
  }

  app.get("/v1/machines/:machine_id/status/stream", streamRoute({ machines, faults, streams, machineOf }));
}
