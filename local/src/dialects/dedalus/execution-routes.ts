/** /v1/machines/{machine_id}/executions */
import type { FastifyInstance } from "fastify";
import { execution, executionAnswer, executionEvent, executionOutput, page } from "./render";
import { executionOf, idempotencyOf, machineOf, newExecution, pageOf, requireNoBody } from "./requests";
import type { DedalusDeps } from "./deps";
import { sendStored } from "./send-stored";

export function executionRoutes(app: FastifyInstance, { controlPlane: { executions } }: DedalusDeps): void {
  app.get("/v1/machines/:machine_id/executions", async (request) =>
    page(await executions.list(machineOf(request), pageOf(request)), execution),
  );

  app.post("/v1/machines/:machine_id/executions", async (request, reply) => {
    const id = machineOf(request);
    const spec = newExecution(request.body);
    const once = idempotencyOf(request, "executions", spec);
    return sendStored(reply, await executions.create(id, spec, once, executionAnswer));
  });

  app.get("/v1/machines/:machine_id/executions/:execution_id", async (request) =>
    execution(await executions.get(machineOf(request), executionOf(request))),
  );

  app.delete("/v1/machines/:machine_id/executions/:execution_id", async (request) => {
    requireNoBody(request);
    return execution(await executions.remove(machineOf(request), executionOf(request)));
  });

  app.get("/v1/machines/:machine_id/executions/:execution_id/events", async (request) =>
    page(await executions.events(machineOf(request), executionOf(request), pageOf(request)), executionEvent),
  );

  app.get("/v1/machines/:machine_id/executions/:execution_id/output", async (request) => {
    const { record, stdout, stderr } = await executions.output(machineOf(request), executionOf(request));
    return executionOutput(record, stdout, stderr);
  });
}
