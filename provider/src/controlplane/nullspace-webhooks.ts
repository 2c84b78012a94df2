/** Webhooks over the Nullspace API. */
import type { Delivery, LifecycleOperation, NullspaceClient, Webhook } from "@pulumi-machines/sdk";
import type { CallOptions } from "./port";
import { translateError } from "./translate";
import {
  WebhookGoneError,
  type DeliveryView,
  type WebhookPort,
  type WebhookSpec,
  type WebhookView,
} from "./webhook-port";

export class NullspaceWebhooks implements WebhookPort {
  constructor(
    private readonly client: NullspaceClient,
    private readonly hint: string | undefined,
  ) {}

  async create(spec: WebhookSpec, { signal }: CallOptions): Promise<WebhookView> {
    const { url, operations, secret, enabled } = spec;
    return this.call(undefined, async () =>
      viewOf(
        await this.client.webhooks.create(
          { url, operations: operations as LifecycleOperation[], signingSecret: secret, enabled },
          { signal },
        ),
      ),
    );
  }

  async get(id: string, { signal }: CallOptions): Promise<WebhookView> {
    return this.call(id, async () => viewOf(await this.client.webhooks.get(id, { signal })));
  }

  async update(id: string, change: Partial<WebhookSpec>, { signal }: CallOptions): Promise<WebhookView> {
    const { url, operations, secret, enabled } = change;
    const params = {
      url,
      operations: operations as LifecycleOperation[] | undefined,
      signingSecret: secret,
      enabled,
    };
    return this.call(id, async () => viewOf(await this.client.webhooks.update(id, params, { signal })));
  }

  async delete(id: string, { signal }: CallOptions): Promise<void> {
    try {
      await this.call(id, () => this.client.webhooks.delete(id, { signal }));
    } catch (error) {
      if (!(error instanceof WebhookGoneError)) throw error;
    }
  }

  async *list({ signal }: CallOptions): AsyncGenerator<WebhookView, void> {
    try {
      for await (const webhook of this.client.webhooks.list({ signal })) yield viewOf(webhook);
    } catch (error) {
      throw translateError(error, { hint: this.hint });
    }
  }

  async *deliveries(id: string, { signal }: CallOptions): AsyncGenerator<DeliveryView, void> {
    try {
      for await (const delivery of this.client.webhooks.deliveries(id, {}, { signal }))
        yield deliveryOf(delivery);
    } catch (error) {
      throw translateError(error, { webhookId: id, hint: this.hint });
    }
  }

  private async call<T>(webhookId: string | undefined, send: () => Promise<T>): Promise<T> {
    try {
      return await send();
    } catch (error) {
      throw translateError(error, { webhookId, hint: this.hint });
    }
  }
}

function viewOf(webhook: Webhook): WebhookView {
  const { id, url, operations, enabled, hasSigningSecret, createdAt, updatedAt } = webhook;
  return {
    ...{ id, url, operations, enabled, hasSecret: hasSigningSecret, createdAt, updatedAt },
    ...(webhook.lastDeliveryAt === undefined ? {} : { lastDeliveryAt: webhook.lastDeliveryAt }),
    ...(webhook.lastDeliveryStatus === undefined ? {} : { lastDeliveryStatus: webhook.lastDeliveryStatus }),
    ...(webhook.lastError === undefined ? {} : { lastError: webhook.lastError }),
  };
}

function deliveryOf(delivery: Delivery): DeliveryView {
  const { id, webhookId, eventId, operation, deliveryStatus, attemptCount, createdAt } = delivery;
  const { lastAttemptAt, nextAttemptAt, lastResponseStatus, lastError } = delivery;
  return {
    ...{ id, webhookId, eventId, operation, deliveryStatus, attemptCount, createdAt },
    ...(lastAttemptAt === undefined ? {} : { lastAttemptAt }),
    ...(nextAttemptAt === undefined ? {} : { nextAttemptAt }),
    ...(lastResponseStatus === undefined ? {} : { lastResponseStatus }),
    ...(lastError === undefined ? {} : { lastError }),
  };
}
