/** Rows of the webhook tables as records. */
import type { LifecycleOperation } from "@pulumi-machines/sdk/nullspace/rules";
import type { Selectable } from "kysely";
import type { AttemptRecord, DeliveryRecord, WebhookRecord } from "../engine/record";
import type { DeliveriesTable, DeliveryAttemptsTable, WebhooksTable } from "../store/schema";

/** Without the secret, which is never shown. */
export const webhookFromRow = (row: Selectable<WebhooksTable>): WebhookRecord => ({
  id: row.id,
  url: row.url,
  operations: JSON.parse(row.operations) as LifecycleOperation[],
  enabled: row.enabled === 1,
  createdAt: row.created_at,
  updatedAt: row.updated_at,
  lastDeliveryAt: row.last_delivery_at,
  lastDeliveryStatus: row.last_delivery_status,
  lastError: row.last_error,
});

export const deliveryFromRow = (row: Selectable<DeliveriesTable>): DeliveryRecord => ({
  id: row.id,
  webhookId: row.webhook_id,
  eventId: row.event_id,
  operation: row.operation,
  status: row.status,
  deliveryStatus: row.delivery_status,
  attemptCount: row.attempt_count,
  createdAt: row.created_at,
  nextAttemptAt: row.next_attempt_at,
  lastAttemptAt: row.last_attempt_at,
  lastResponseStatus: row.last_response_status,
  lastError: row.last_error,
});

export const attemptFromRow = (row: Selectable<DeliveryAttemptsTable>): AttemptRecord => ({
  id: row.id,
  deliveryId: row.delivery_id,
  attemptNumber: row.attempt_number,
  attemptedAt: row.attempted_at,
  durationMs: row.duration_ms,
  responseStatus: row.response_status,
  errorCode: row.error_code,
  errorMessage: row.error_message,
});
