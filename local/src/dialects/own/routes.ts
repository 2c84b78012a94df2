/**
 * Routes of our own below `/local/v1`: what neither vendor's API can say alone, a machine with the traits of both, and its
 * answer at once.
 */
import { setTimeoutRequest } from "@pulumi-machines/sdk/nullspace/wire";
import type { FastifyInstance, FastifyPluginAsync } from "fastify";
import { z } from "zod";
import type { ControlPlane } from "../../engine/control-plane";
import { invalid } from "../../http-errors";
import { violationsOf } from "../../http-violations";
import type { HttpSettings } from "../../settings";
import { lifecycle, machineAnswer } from "../dedalus/render";
import { idempotencyOf, machineOf } from "../dedalus/requests";
import { sendStored } from "../dedalus/send-stored";
import { maxLeaseMs } from "../nullspace/lease";
import { metadataViolations } from "../nullspace/new-machine";
import { snapshotInfo } from "../nullspace/render";
import { Waiting } from "../nullspace/waiting";
import { newMachine } from "./new-machine";
import { toApiError } from "./refusals";

const snapshotRequest = z.strictObject({ metadata: z.record(z.string(), z.unknown()).optional() });
/** As the Nullspace API's, and `null` for never. */
const timeoutRequest = setTimeoutRequest.extend({
  timeout_ms: z.int().positive().max(maxLeaseMs).nullable(),
});

export const ownRoutes =
  ({ settings, controlPlane }: { settings: HttpSettings; controlPlane: ControlPlane }): FastifyPluginAsync =>
  async (app: FastifyInstance) => {
    const { machines, snapshots } = controlPlane;
    const waiting = new Waiting();
    const answer = machineAnswer({ flatPhase: settings.flatPhase });
    app.addHook("preClose", async () => {
      waiting.close();
    });
    app.setErrorHandler((error) => {
      // To the server's own handler, which sends both envelopes.
      throw toApiError(error);
    });

    app.post("/machines", async (request, reply) => {
      const { asked, make } = newMachine(request.body, settings.limits);
      const once = idempotencyOf(request, "machines", asked);
      const made = await waiting.once(reply, { kind: "lifecycle" }, () =>
        "spec" in make
          ? machines.create(make.spec, once, answer)
          : machines.fork(make.forkOf, once, answer, make.own),
      );
      return sendStored(reply, made);
    });

    app.post("/machines/:machine_id/snapshots", async (request, reply) => {
      const id = machineOf(request);
      const own = parse(snapshotRequest, request.body);
      const violations = metadataViolations(own.metadata);
      if (violations.length > 0) throw invalid(violations);
      const once = idempotencyOf(request, "machines", own);
      const made = await waiting.once(reply, { kind: "lifecycle" }, () =>
        snapshots.create(
          id,
          once,
          (snapshot) => ({
            status: 201,
            headers: { "content-type": "application/json" },
            body: JSON.stringify(snapshotInfo(snapshot)),
          }),
          own.metadata === undefined ? {} : { metadata: own.metadata },
        ),
      );
      return sendStored(reply, made);
    });

    app.post("/machines/:machine_id/timeout", async (request) => {
      const id = machineOf(request);
      const { timeout_ms: timeoutMs, timeout_action: timeoutAction } = parse(timeoutRequest, request.body);
      const machine = await machines.setLease(id, {
        timeoutMs,
        ...(timeoutAction === undefined ? {} : { timeoutAction }),
      });
      return lifecycle(machine, { flatPhase: settings.flatPhase });
    });
  };

/** @throws ApiError 422 */
function parse<S extends z.ZodType>(schema: S, body: unknown): z.output<S> {
  const parsed = schema.safeParse(body ?? {});
  if (parsed.success) return parsed.data;
  throw invalid(violationsOf(parsed.error, body ?? {}, "body"));
}
