/** /v1/snapshots, and their making from a machine. */
import type { FastifyInstance } from "fastify";
import { sendStored } from "../dedalus/send-stored";
import type { NullspaceDeps } from "./deps";
import { engineMachineId } from "./ids";
import { Query } from "./query";
import { snapshotInfo } from "./render";
import { idempotencyOf, machineOf, requireNoBody, snapshotOf } from "./requests";
import type { Waiting } from "./waiting";

export function snapshotRoutes(
  app: FastifyInstance,
  { controlPlane, waiting }: NullspaceDeps & { waiting: Waiting },
): void {
  const { snapshots } = controlPlane;

  app.post("/v1/machines/:id/snapshots", async (request, reply) => {
    const id = machineOf(request);
    requireNoBody(request);
    const once = idempotencyOf(request);
    const answer = await waiting.once(reply, { kind: "lifecycle", id }, () =>
      snapshots.create(id, once, (snapshot) => ({
        status: 201,
        headers: { "content-type": "application/json; charset=utf-8" },
        body: JSON.stringify(snapshotInfo(snapshot)),
      })),
    );
    return sendStored(reply, answer);
  });

  app.get("/v1/snapshots", async (request) => {
    const query = new Query(request, ["machine_id", "metadata"] as const);
    const machine = query.text("machine_id");
    const metadata = query.object("metadata");
    query.done();
    const machineId = machine === undefined ? undefined : engineMachineId(machine);
    // A text that no machine is called has no snapshots.
    if (machine !== undefined && machineId === undefined) return [];
    const found = await snapshots.list({
      ...(machineId === undefined ? {} : { machineId }),
      ...(metadata === undefined ? {} : { metadata }),
    });
    return found.map(snapshotInfo);
  });

  app.get("/v1/snapshots/:id", async (request) => snapshotInfo(await snapshots.get(snapshotOf(request))));

  app.delete("/v1/snapshots/:id", async (request, reply) => {
    requireNoBody(request);
    await snapshots.remove(snapshotOf(request));
    return reply.code(204).send();
  });
}
