/** Terminals over HTTP: those that run, their size, their end. They are opened over the machine's socket. */
import { resizeRequest } from "@pulumi-machines/sdk/nullspace/wire";
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { ProcessRecord } from "../../engine/processes/api";
import type { NullspaceDeps } from "./deps";
import { wireError } from "./errors";
import { ptySession } from "./render-process";
import { machineOf, param, parse, requireNoBody } from "./requests";
import { living } from "./transitions";

export function ptyRoutes(app: FastifyInstance, { controlPlane }: NullspaceDeps): void {
  const { processes } = controlPlane;

  /** @throws WireError 404 for one that has ended, too */
  const session = async (request: FastifyRequest) => {
    const { id } = await living(controlPlane, machineOf(request));
    const process = await processes.terminal(id, param(request, "sid"));
    if (!process.running || process.terminal === null) {
      throw wireError(404, "not_found", `the terminal ${JSON.stringify(param(request, "sid"))} has ended`);
    }
    return { id, process, terminal: process.terminal };
  };

  app.get("/v1/machines/:id/pty", async (request) => {
    const { id } = await living(controlPlane, machineOf(request));
    return (await processes.list(id)).flatMap(shown);
  });

  app.get("/v1/machines/:id/pty/:sid", async (request) => {
    const { process, terminal } = await session(request);
    return ptySession(process, terminal);
  });

  app.delete("/v1/machines/:id/pty/:sid", async (request, reply) => {
    requireNoBody(request);
    const { id, process } = await session(request);
    await processes.kill(id, process.pid);
    return reply.code(204).send();
  });

  app.post("/v1/machines/:id/pty/:sid/resize", async (request, reply) => {
    const size = parse(resizeRequest, request.body);
    const { id, process } = await session(request);
    await processes.resize(id, process.pid, size);
    return reply.code(204).send();
  });
}

const shown = (process: ProcessRecord) =>
  process.running && process.terminal !== null ? [ptySession(process, process.terminal)] : [];
