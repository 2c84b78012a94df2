/** What the resources need of webhooks. */
import type { CallOptions } from "./port";

export interface WebhookSpec {
  url: string;
  /** The lifecycle operations that are told. */
  operations: readonly string[];
  /** Signs the deliveries; never answered again. */
  secret: string;
  enabled: boolean;
}

export interface WebhookView {
  id: string;
  url: string;
  operations: readonly string[];
  enabled: boolean;
  hasSecret: boolean;
  /** ISO 8601. */
  createdAt: string;
  updatedAt: string;
  lastDeliveryAt?: string;
  lastDeliveryStatus?: string;
  lastError?: string;
}

/** One event on its way to a webhook. */
export interface DeliveryView {
  id: string;
  webhookId: string;
  eventId: string;
  operation: string;
  /** "queued", "in_progress", "succeeded", "dead_letter". */
  deliveryStatus: string;
  attemptCount: number;
  createdAt: string;
  lastAttemptAt?: string;
  nextAttemptAt?: string;
  lastResponseStatus?: number;
  lastError?: string;
}

/** The service knows no such webhook. */
export class WebhookGoneError extends Error {
  override readonly name = "WebhookGoneError";
  readonly code = "webhook_gone";
  constructor(
    readonly webhookId: string,
    options?: ErrorOptions,
  ) {
    super(`webhook ${webhookId} does not exist any more`, options);
  }
}

export interface WebhookPort {
  create(spec: WebhookSpec, options: CallOptions): Promise<WebhookView>;
  /** @throws WebhookGoneError */
  get(id: string, options: CallOptions): Promise<WebhookView>;
  /** @throws WebhookGoneError */
  update(id: string, change: Partial<WebhookSpec>, options: CallOptions): Promise<WebhookView>;
  /** Not found is success. */
  delete(id: string, options: CallOptions): Promise<void>;
  list(options: CallOptions): AsyncIterable<WebhookView>;
  /** Newest first. */
  deliveries(id: string, options: CallOptions): AsyncIterable<DeliveryView>;
}
