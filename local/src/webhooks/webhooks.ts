/** Webhooks of the lifecycle log: who is told what, and the deliveries on their way. */
import { randomUUID } from "node:crypto";
import { type NewWebhook, Refusal, type Webhooks } from "../engine/control-plane";
import type { AttemptRecord, DeliveryRecord, LifecycleEventRecord, WebhookRecord } from "../engine/record";
import type { Database, Tx } from "../store/store";
import { Dispatcher, retryDelaysMs } from "./dispatcher";
import { attemptFromRow, deliveryFromRow, webhookFromRow } from "./rows";
import { checkTarget, type TargetPolicy } from "./target";

export interface WebhooksHost {
  db: Database;
  now: () => Date;
  report: (message: string, error?: unknown) => void;
  /** The text that is sent and signed. */
  body: (event: LifecycleEventRecord) => string;
  /** @throws Refusal event_not_found. */
  event: (id: string) => Promise<LifecycleEventRecord>;
  /** Takes http:// URLs of this host's loopback; default false: https only. */
  allowHttpLoopback: boolean;
  /** Waits after each failed attempt, in milliseconds; default 1 s to an hour, seven times. */
  retryDelaysMs?: readonly number[];
}

export class EngineWebhooks implements Webhooks {
  private readonly dispatcher: Dispatcher;
  private readonly policy: TargetPolicy;

  constructor(private readonly host: WebhooksHost) {
    this.policy = { allowHttpLoopback: host.allowHttpLoopback };
    this.dispatcher = new Dispatcher({
      ...host,
      policy: this.policy,
      retryDelaysMs: host.retryDelaysMs ?? retryDelaysMs,
    });
  }

  /** Queues the deliveries of new events, in the transaction that writes the events. */
  async enqueue(tx: Tx, events: readonly LifecycleEventRecord[]): Promise<void> {
    if (events.length === 0) return;
    const rows = await tx.selectFrom("webhooks").selectAll().where("enabled", "=", 1).execute();
    const webhooks = rows.map(webhookFromRow);
    const deliveries = events.flatMap((event) =>
      webhooks
        .filter((webhook) => webhook.operations.includes(event.operation))
        .map((webhook) => ({
          id: randomUUID(),
          webhook_id: webhook.id,
          event_id: event.id,
          event_seq: event.sequence,
          machine_id: event.machineId,
          operation: event.operation,
          status: event.status,
          delivery_status: "queued" as const,
          attempt_count: 0,
          created_at: event.occurredAt,
          next_attempt_at: event.occurredAt,
        })),
    );
    if (deliveries.length > 0) await tx.insertInto("deliveries").values(deliveries).execute();
  }

  /** Takes up what an earlier control plane left. */
  async resume(): Promise<void> {
    await this.dispatcher.resume();
    this.dispatcher.poke();
  }

  /** Says that deliveries may be due: after the commit of an event. */
  poke(): void {
    this.dispatcher.poke();
  }

  async create(webhook: NewWebhook): Promise<WebhookRecord> {
    checkTarget(webhook.url, this.policy);
    const id = randomUUID();
    const at = this.host.now().toISOString();
    await this.host.db
      .insertInto("webhooks")
      .values({ id, created_at: at, updated_at: at, ...columnsOf(webhook) })
      .execute();
    return this.get(id);
  }

  async list(): Promise<WebhookRecord[]> {
    const rows = await this.host.db.selectFrom("webhooks").selectAll().orderBy("seq", "desc").execute();
    return rows.map(webhookFromRow);
  }

  async get(id: string): Promise<WebhookRecord> {
    const row = await this.host.db.selectFrom("webhooks").selectAll().where("id", "=", id).executeTakeFirst();
    if (!row) throw new Refusal("webhook_not_found", `webhook ${id} does not exist`);
    return webhookFromRow(row);
  }

  async update(id: string, change: Partial<NewWebhook>): Promise<WebhookRecord> {
    if (change.url !== undefined) checkTarget(change.url, this.policy);
    await this.get(id);
    await this.host.db
      .updateTable("webhooks")
      .set({ ...columnsOf(change), updated_at: this.host.now().toISOString() })
      .where("id", "=", id)
      .execute();
    // It may have been enabled again, with deliveries that wait.
    this.dispatcher.poke();
    return this.get(id);
  }

  async remove(id: string): Promise<void> {
    await this.get(id);
    await this.host.db.transaction().execute(async (tx) => {
      const ofWebhook = tx.selectFrom("deliveries").select("id").where("webhook_id", "=", id);
      await tx.deleteFrom("delivery_attempts").where("delivery_id", "in", ofWebhook).execute();
      await tx.deleteFrom("deliveries").where("webhook_id", "=", id).execute();
      await tx.deleteFrom("webhooks").where("id", "=", id).execute();
    });
  }

  async deliveries(id: string, page: { offset: number; limit: number }): Promise<DeliveryRecord[]> {
    await this.get(id);
    const rows = await this.host.db
      .selectFrom("deliveries")
      .selectAll()
      .where("webhook_id", "=", id)
      .orderBy("seq", "desc")
      .limit(page.limit)
      .offset(page.offset)
      .execute();
    return rows.map(deliveryFromRow);
  }

  async delivery(
    id: string,
    deliveryId: string,
  ): Promise<{ delivery: DeliveryRecord; event: LifecycleEventRecord; attempts: AttemptRecord[] }> {
    await this.get(id);
    const { db } = this.host;
    const row = await db
      .selectFrom("deliveries")
      .selectAll()
      .where("webhook_id", "=", id)
      .where("id", "=", deliveryId)
      .executeTakeFirst();
    if (!row) {
      throw new Refusal("delivery_not_found", `delivery ${deliveryId} of webhook ${id} does not exist`);
    }
    const attempts = await db
      .selectFrom("delivery_attempts")
      .selectAll()
      .where("delivery_id", "=", deliveryId)
      .orderBy("attempt_number")
      .execute();
    return {
      delivery: deliveryFromRow(row),
      event: await this.host.event(row.event_id),
      attempts: attempts.map(attemptFromRow),
    };
  }

  /** Forgets the deliveries of events that are about to be forgotten, sent or not. */
  async forget(tx: Tx, eventsUpTo: number): Promise<void> {
    const old = tx.selectFrom("deliveries").select("id").where("event_seq", "<=", eventsUpTo);
    await tx.deleteFrom("delivery_attempts").where("delivery_id", "in", old).execute();
    await tx.deleteFrom("deliveries").where("event_seq", "<=", eventsUpTo).execute();
  }

  async close(): Promise<void> {
    await this.dispatcher.close();
  }
}

/** Empty for what is not given, so that the same serves a new webhook and a change. */
function columnsOf<W extends Partial<NewWebhook>>(webhook: W) {
  const columns = {
    url: webhook.url,
    operations: webhook.operations && JSON.stringify([...new Set(webhook.operations)]),
    signing_secret: webhook.signingSecret,
    enabled: webhook.enabled === undefined ? undefined : webhook.enabled ? 1 : 0,
  };
  return Object.fromEntries(Object.entries(columns).filter(([, value]) => value !== undefined)) as {
    [K in keyof typeof columns]: Exclude<(typeof columns)[K], undefined>;
  };
}
