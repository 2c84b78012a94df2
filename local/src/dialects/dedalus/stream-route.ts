/** GET /v1/machines/{id}/status/stream, which both dialects serve. */
import { isSettled } from "@pulumi-machines/sdk/dedalus/rules";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { Machines } from "../../engine/control-plane";
import type { Faults } from "../../faults";
import { StatusStream, type StatusStreams } from "./status-streams";

export interface StreamDeps {
  machines: Machines;
  faults: Faults;
  streams: StatusStreams;
  /** The engine's id of the machine that the path names; throws where it names none. */
  machineOf: (request: FastifyRequest) => string;
}

/** A revision that was given out as `id:`; anything else begins with the current one. */
const revisionIn = (id: string | string[] | undefined): number | undefined =>
  typeof id === "string" && /^\d{1,15}$/.test(id) ? Number(id) : undefined;

export function streamRoute({ machines, faults, streams, machineOf }: StreamDeps) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const id = machineOf(request);
    const after = revisionIn(request.headers["last-event-id"]);
    // Before the answer begins: a machine that does not exist is a 404.
    const scripted = faults.current().rules.some(({ on }) => on === "stream");
    const rule = scripted ? faults.forStream(await machines.get(id)) : undefined;
    const response = reply.raw;
    const stream = new StatusStream(response, streams);
    const stopFollowing = await machines.follow(id, after, stream.tell);
    reply.hijack();
    if (request.loseAnswer) response.destroy();
    else {
      response.writeHead(200, {
        "content-type": "text/event-stream",
        "cache-control": "no-store",
        "x-request-id": request.id,
      });
      response.flushHeaders();
    }
    stream.begin(stopFollowing, rule);
    if (after === undefined || !stream.isUntold) return;
    const { revision, phase, desiredState } = await machines.get(id);
    if (stream.isUntold && revision === after && isSettled(phase, desiredState)) stream.endAt(after);
  };
}
