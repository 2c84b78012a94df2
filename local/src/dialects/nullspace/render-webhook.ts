/** Webhooks and their deliveries in the vendor's words. Members without a value are absent, never null. */
import type { AttemptRecord, DeliveryRecord, LifecycleEventRecord, WebhookRecord } from "../../engine/record";
import { present } from "./present";
import { lifecycleEvent } from "./render-event";

/** LifecycleWebhookInfo; the secret is never told. */
export const webhookInfo = (webhook: WebhookRecord) => ({
  id: webhook.id,
  url: webhook.url,
  operations: webhook.operations,
  enabled: webhook.enabled,
  has_signing_secret: true,
  created_at: webhook.createdAt,
  updated_at: webhook.updatedAt,
  ...present({
    last_delivery_at: webhook.lastDeliveryAt,
    last_delivery_status: webhook.lastDeliveryStatus,
    last_error: webhook.lastError,
  }),
});

/** LifecycleWebhookDeliveryInfo */
export const deliveryInfo = (delivery: DeliveryRecord) => ({
  id: delivery.id,
  webhook_id: delivery.webhookId,
  event_id: delivery.eventId,
  operation: delivery.operation,
  status: delivery.status,
  delivery_status: delivery.deliveryStatus,
  attempt_count: delivery.attemptCount,
  created_at: delivery.createdAt,
  ...present({
    next_attempt_at: delivery.nextAttemptAt,
    last_attempt_at: delivery.lastAttemptAt,
    last_response_status: delivery.lastResponseStatus,
    last_error: delivery.lastError,
  }),
});

const attemptInfo = (attempt: AttemptRecord) => ({
  id: attempt.id,
  delivery_id: attempt.deliveryId,
  attempt_number: attempt.attemptNumber,
  attempted_at: attempt.attemptedAt,
  duration_ms: attempt.durationMs,
  ...present({
    response_status: attempt.responseStatus,
    error_code: attempt.errorCode,
    error_message: attempt.errorMessage,
  }),
});

/** LifecycleWebhookDeliveryDetail */
export const deliveryDetail = (found: {
  delivery: DeliveryRecord;
  event: LifecycleEventRecord;
  attempts: AttemptRecord[];
}) => ({
  delivery: deliveryInfo(found.delivery),
  event: lifecycleEvent(found.event),
  attempts: found.attempts.map(attemptInfo),
});
