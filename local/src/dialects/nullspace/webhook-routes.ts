/** /v1/lifecycle/webhooks: who is told of events, and what came of it. */
import { createWebhookRequest, updateWebhookRequest } from "@pulumi-machines/sdk/nullspace/wire";
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { NewWebhook } from "../../engine/control-plane";
import type { NullspaceDeps } from "./deps";
import { Query } from "./query";
import { deliveryDetail, deliveryInfo, webhookInfo } from "./render-webhook";
import { nulViolations, parse, requireNoBody, uuidOf } from "./requests";

const maxLimit = 100;
const defaultLimit = 50;
const maxOffset = 1_000_000_000;

const webhookOf = (request: FastifyRequest): string => uuidOf(request, "id", "webhook");

export function webhookRoutes(app: FastifyInstance, { controlPlane }: NullspaceDeps): void {
  const { webhooks } = controlPlane;

  app.post("/v1/lifecycle/webhooks", async (request, reply) => {
    const asked = parse(createWebhookRequest, request.body, textViolations);
    const webhook = await webhooks.create({
      url: asked.url,
      operations: [...new Set(asked.operations)],
      signingSecret: asked.signing_secret,
      enabled: asked.enabled ?? true,
    });
    return reply.code(201).send(webhookInfo(webhook));
  });

  app.get("/v1/lifecycle/webhooks", async () => (await webhooks.list()).map(webhookInfo));

  app.get("/v1/lifecycle/webhooks/:id", async (request) =>
    webhookInfo(await webhooks.get(webhookOf(request))),
  );

  app.patch("/v1/lifecycle/webhooks/:id", async (request) => {
    const id = webhookOf(request);
    const asked = parse(updateWebhookRequest, request.body, textViolations);
    const change: Partial<NewWebhook> = {
      ...(asked.url === undefined ? {} : { url: asked.url }),
      ...(asked.operations === undefined ? {} : { operations: [...new Set(asked.operations)] }),
      ...(asked.signing_secret === undefined ? {} : { signingSecret: asked.signing_secret }),
      ...(asked.enabled === undefined ? {} : { enabled: asked.enabled }),
    };
    return webhookInfo(await webhooks.update(id, change));
  });

  app.delete("/v1/lifecycle/webhooks/:id", async (request, reply) => {
    requireNoBody(request);
    await webhooks.remove(webhookOf(request));
    return reply.code(204).send();
  });

  app.get("/v1/lifecycle/webhooks/:id/deliveries", async (request) => {
    const query = new Query(request, ["offset", "limit"] as const);
    const page = {
      offset: query.whole("offset", { min: 0, max: maxOffset, absent: 0 }),
      limit: query.whole("limit", { min: 1, max: maxLimit, absent: defaultLimit }),
    };
    query.done();
    return (await webhooks.deliveries(webhookOf(request), page)).map(deliveryInfo);
  });

  app.get("/v1/lifecycle/webhooks/:id/deliveries/:delivery_id", async (request) => {
    const id = webhookOf(request);
    return deliveryDetail(await webhooks.delivery(id, uuidOf(request, "delivery_id", "delivery")));
  });
}

const textViolations = (fields: Record<string, unknown>) => [
  ...nulViolations("body.url", fields["url"]),
  ...nulViolations("body.signing_secret", fields["signing_secret"]),
];
