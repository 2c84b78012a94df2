/** `client.webhooks`: who is told of lifecycle events, and what came of it. */
import { z } from "zod";
import { fetchAs, fetchValue, requestBody, segment } from "../answers";
import type { Call, CallOptions } from "../call";
import { pagesOf, type Pages } from "../listing";
import { anyAnswer, given, wholeNumber, withoutKey } from "./calls";
import type { NullspaceContext } from "./context";
import type { LifecycleOperation } from "./rules";
import { verifyWebhook, type VerifiedWebhook, type VerifyParams } from "./webhook-signature";
import {
  attemptAnswer,
  createWebhookRequest,
  deliveryAnswer,
  lifecycleEventAnswer,
  updateWebhookRequest,
  webhookAnswer,
  type Delivery,
  type DeliveryAttempt,
  type LifecycleEvent,
  type Webhook,
} from "./wire";

export interface CreateWebhookParams {
  /** `https:`. */
  url: string;
  /** At least one. */
  operations: LifecycleOperation[];
  /** Signs every delivery; never answered again. */
  signingSecret: string;
  /** Default true. */
  enabled?: boolean | undefined;
}

/** Only what is given changes. */
export type UpdateWebhookParams = { [K in keyof CreateWebhookParams]?: CreateWebhookParams[K] | undefined };

export interface ListDeliveriesParams {
  /** Deliveries to leave out at the start; default 0. */
  offset?: number | undefined;
  /** Deliveries in one page, 1 to 100; default 50. */
  limit?: number | undefined;
}

/** A delivery with its event and every attempt at it. */
export interface DeliveryDetail {
  delivery: Delivery;
  event: LifecycleEvent;
  attempts: DeliveryAttempt[];
}

export type WebhookListing = Pages<Webhook, { items: Webhook[] }>;
export type DeliveryListing = Pages<Delivery, { items: Delivery[] }>;

const defaultDeliveries = 50;

const detailAnswer = z
  .looseObject({ delivery: deliveryAnswer, event: lifecycleEventAnswer, attempts: z.array(attemptAnswer) })
  .transform(({ delivery, event, attempts }): DeliveryDetail => ({ delivery, event, attempts }));

/** Where the service has no webhooks, every call throws NotImplementedError. */
export class Webhooks {
  constructor(private readonly context: Pick<NullspaceContext, "transport" | "deps">) {}

  async create(params: CreateWebhookParams, options?: CallOptions): Promise<Webhook> {
    const body = requestBody("create a webhook", createWebhookRequest, wireMembers(params));
    return this.send(webhookAnswer, "create a webhook", "POST", "", { body, options: withoutKey(options) });
  }

  /** The service answers all at once: there is one page. */
  list(options?: CallOptions): WebhookListing {
    return pagesOf<Webhook, { items: Webhook[] }, string>({
      items: (page) => page.items,
      next: () => undefined,
      fetch: async () => ({
        items: await this.values(webhookAnswer, "list webhooks", "", { options: withoutKey(options) }),
      }),
    });
  }

  /** @throws NotFoundError */
  async get(webhookId: string, options?: CallOptions): Promise<Webhook> {
    const what = `read webhook ${webhookId}`;
    return this.send(webhookAnswer, what, "GET", of(webhookId), { options: withoutKey(options) });
  }

  /** @throws NotFoundError */
  async update(webhookId: string, params: UpdateWebhookParams, options?: CallOptions): Promise<Webhook> {
    const what = `update webhook ${webhookId}`;
    const body = requestBody(what, updateWebhookRequest, wireMembers(params));
    return this.send(webhookAnswer, what, "PATCH", of(webhookId), { body, options: withoutKey(options) });
  }

  /** @throws NotFoundError */
  async delete(webhookId: string, options?: CallOptions): Promise<void> {
    await fetchValue(
      this.context.transport,
      anyAnswer,
      this.call(`delete webhook ${webhookId}`, "DELETE", of(webhookId), { options: withoutKey(options) }),
    );
  }

  /** What was sent or waits to be sent, over all pages. @throws NotFoundError */
  deliveries(
    webhookId: string,
    { offset, limit }: ListDeliveriesParams = {},
    options?: CallOptions,
  ): DeliveryListing {
    const what = `list the deliveries of webhook ${webhookId}`;
    const size = wholeNumber(`${what}: limit`, limit ?? defaultDeliveries, 1, 100);
    const first = wholeNumber(`${what}: offset`, offset ?? 0, 0, Number.MAX_SAFE_INTEGER);
    return pagesOf<Delivery, { items: Delivery[] }, number>({
      first,
      items: (page) => page.items,
      idOf: (delivery) => delivery.id,
      // The answer does not say whether more follows: a page that is not full is the last.
      next: (page, at) => (page.items.length < size ? undefined : (at ?? 0) + page.items.length),
      fetch: async (at) => ({
        items: await this.values(deliveryAnswer, what, `${of(webhookId)}/deliveries`, {
          query: { offset: at, limit: size },
          options: withoutKey(options),
        }),
      }),
    });
  }

  /** @throws NotFoundError */
  async delivery(webhookId: string, deliveryId: string, options?: CallOptions): Promise<DeliveryDetail> {
    const path = `${of(webhookId)}/deliveries/${segment("delivery id", deliveryId)}`;
    return this.send(detailAnswer, `read delivery ${deliveryId}`, "GET", path, {
      options: withoutKey(options),
    });
  }

  /** The event of a request that came in, when its signature is good; see `verifyWebhook`. @throws WebhookError */
  verify(params: VerifyParams): VerifiedWebhook {
    return verifyWebhook({ now: this.context.deps.now(), ...params });
  }

  private async send<T extends object>(
    schema: z.ZodType<T>,
    what: string,
    method: Call["method"],
    below: string,
    rest: Partial<Call>,
  ): Promise<T> {
    return fetchAs(this.context.transport, schema, this.call(what, method, below, rest));
  }

  private async values<T>(
    schema: z.ZodType<T>,
    what: string,
    below: string,
    rest: Partial<Call>,
  ): Promise<T[]> {
    const call = this.call(what, "GET", below, rest);
    return (await fetchValue(this.context.transport, z.array(schema), call)).value;
  }

  private call(what: string, method: Call["method"], below: string, rest: Partial<Call>): Call {
    return { ...rest, keyed: false, what, method, path: `/v1/lifecycle/webhooks${below}` };
  }
}

const of = (webhookId: string): string => `/${segment("webhook id", webhookId)}`;

const wireMembers = ({ url, operations, signingSecret, enabled }: UpdateWebhookParams): object =>
  given({ url, operations, signing_secret: signingSecret, enabled });
