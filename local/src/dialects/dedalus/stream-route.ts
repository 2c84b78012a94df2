/** GET /v1/machines/{machine_id}/status/stream */
import type { FastifyReply, FastifyRequest } from "fastify";
import type { Machines } from "../../engine/control-plane";
import type { Faults } from "../../faults";
import { lifecycle, type RenderOptions } from "./render";
import { machineOf } from "./requests";
import { StatusStream, type StatusStreams } from "./status-streams";

export interface StreamDeps {
  machines: Machines;
  faults: Faults;
  streams: StatusStreams;
  render: RenderOptions;
}

/** A revision that was given out as `id:`; anything else begins with the current one. */
const revisionIn = (id: string | string[] | undefined): number | undefined =>
  typeof id === "string" && /^\d{1,15}$/.test(id) ? Number(id) : undefined;

export function streamRoute({ machines, faults, streams, render }: StreamDeps) {
  const json = (machine: Parameters<typeof lifecycle>[0]) => JSON.stringify(lifecycle(machine, render));
  return async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const id = machineOf(request);
    const after = revisionIn(request.headers["last-event-id"]);
    const machine = await machines.get(id);
    reply.hijack();
    const response = reply.raw;
    if (request.loseAnswer) {
      response.destroy();
      return;
    }
    response.writeHead(200, {
      "content-type": "text/event-stream",
      "cache-control": "no-store",
      "x-request-id": request.id,
    });
    response.flushHeaders();
    const stream = new StatusStream(response, streams, { json, rule: faults.forStream(machine) });
    try {
      const stop = await machines.follow(id, after, stream.tell);
      await stream.caughtUp(stop, () => machines.get(id), after);
    } catch (error) {
      // The answer has begun: all that is left is to break it off, and the client resumes.
      request.log.error({ err: error }, "status stream broken off");
      response.destroy();
    }
  };
}
