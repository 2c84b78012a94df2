/**
 * Sends what is queued: at least once, one at a time for each webhook and machine and there in the order of the events, except
 * that a delivery that failed is tried again later and lets the next ones pass. Everything it knows is in the store, so that a
 * control plane that was killed goes on where it was; what was on its way then is sent again.
 */
import { randomUUID } from "node:crypto";
import type { Selectable } from "kysely";
import type { LifecycleEventRecord } from "../engine/record";
import type { DeliveriesTable } from "../store/schema";
import type { Database } from "../store/store";
import { type AttemptResult, send } from "./send";
import type { TargetPolicy } from "./target";

/** Waits after each failed attempt, in milliseconds; after the last one it is a dead letter. Together about two hours. */
export const retryDelaysMs: readonly number[] = [
  1_000, 5_000, 30_000, 120_000, 600_000, 1_800_000, 3_600_000,
];

const maxInFlight = 16;
/** Due deliveries looked at in one go; those of busy machines wait for their turn. */
const lookAt = 500;
const maxTimerMs = 2_147_483_647;
/** Waits when the store cannot be asked. */
const storeRetryMs = 1_000;

export interface DispatcherHost {
  db: Database;
  now: () => Date;
  report: (message: string, error?: unknown) => void;
  body: (event: LifecycleEventRecord) => string;
  event: (id: string) => Promise<LifecycleEventRecord>;
  policy: TargetPolicy;
  retryDelaysMs: readonly number[];
}

type Due = Selectable<DeliveriesTable> & { url: string; signing_secret: string };

export class Dispatcher {
  private readonly busy = new Map<string, Promise<void>>();
  private readonly stop = new AbortController();
  private looking: Promise<void> | undefined;
  private again = false;
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly host: DispatcherHost) {}

  /** What was on its way when an earlier control plane ended goes back to the queue. Call it once, before `poke`. */
  async resume(): Promise<void> {
    await this.host.db
      .updateTable("deliveries")
      .set({ delivery_status: "queued" })
      .where("delivery_status", "=", "in_progress")
      .execute();
  }

  poke(): void {
    if (this.stop.signal.aborted) return;
    this.again = true;
    this.looking ??= this.look().finally(() => {
      this.looking = undefined;
      if (this.again) this.poke();
    });
  }

  async close(): Promise<void> {
    this.stop.abort();
    clearTimeout(this.timer);
    await this.looking;
    await Promise.all(this.busy.values());
  }

  private async look(): Promise<void> {
    clearTimeout(this.timer);
    this.again = false;
    // One moment for both: what becomes due between two of them would be in neither.
    const now = this.host.now();
    try {
      for (const due of await this.due(now)) {
        if (this.busy.size >= maxInFlight || this.stop.signal.aborted) return;
        const line = `${due.webhook_id} ${due.machine_id ?? ""}`;
        if (this.busy.has(line)) continue;
        const sent = this.deliver(due).finally(() => {
          this.busy.delete(line);
          this.poke();
        });
        this.busy.set(line, sent);
      }
      await this.armTimer(now);
    } catch (error) {
      this.host.report("webhooks: could not look for what is due", error);
      this.wakeIn(storeRetryMs);
    }
  }

  private due(now: Date): Promise<Due[]> {
    return this.host.db
      .selectFrom("deliveries")
      .innerJoin("webhooks", "webhooks.id", "deliveries.webhook_id")
      .selectAll("deliveries")
      .select(["webhooks.url", "webhooks.signing_secret"])
      .where("delivery_status", "=", "queued")
      .where("next_attempt_at", "<=", now.toISOString())
      .where("webhooks.enabled", "=", 1)
      .orderBy("event_seq")
      .orderBy("deliveries.seq")
      .limit(lookAt)
      .execute();
  }

  /** For the next retry; new events and ended attempts poke by themselves. */
  private async armTimer(now: Date): Promise<void> {
    const next = await this.host.db
      .selectFrom("deliveries")
      .innerJoin("webhooks", "webhooks.id", "deliveries.webhook_id")
      .select((eb) => eb.fn.min("next_attempt_at").as("at"))
      .where("delivery_status", "=", "queued")
      .where("next_attempt_at", ">", now.toISOString())
      .where("webhooks.enabled", "=", 1)
      .executeTakeFirst();
    if (next?.at) this.wakeIn(Date.parse(next.at) - this.host.now().getTime());
  }

  private wakeIn(ms: number): void {
    if (this.stop.signal.aborted) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(
      () => {
        this.poke();
      },
      Math.min(Math.max(ms, 1), maxTimerMs),
    );
  }

  private async deliver(due: Due): Promise<void> {
    const { db, now, report, policy } = this.host;
    try {
      await db
        .updateTable("deliveries")
        .set({ delivery_status: "in_progress" })
        .where("id", "=", due.id)
        .execute();
      const attempt = due.attempt_count + 1;
      const at = now();
      const begun = performance.now();
      const result = await send(
        {
          id: due.id,
          eventId: due.event_id,
          url: due.url,
          signingSecret: due.signing_secret,
          attempt,
          body: this.host.body(await this.host.event(due.event_id)),
        },
        policy,
        this.stop.signal,
      );
      // Cut off by our own end: the next control plane sends it again.
      if (this.stop.signal.aborted && result.responseStatus === null) return;
      await this.record(due, attempt, { at, durationMs: Math.round(performance.now() - begun), result });
    } catch (error) {
      report(`webhooks: could not record delivery ${due.id}`, error);
      await this.requeue(due);
    }
  }

  /** A delivery that the store would not take the result of is sent again, after a while. */
  private async requeue(due: Due): Promise<void> {
    const again = new Date(this.host.now().getTime() + storeRetryMs).toISOString();
    await this.host.db
      .updateTable("deliveries")
      .set({ delivery_status: "queued", next_attempt_at: again })
      .where("id", "=", due.id)
      .execute()
      .catch((error: unknown) => {
        this.host.report(`webhooks: delivery ${due.id} waits for the next start`, error);
      });
  }

  private async record(
    due: Due,
    attempt: number,
    { at, durationMs, result }: { at: Date; durationMs: number; result: AttemptResult },
  ): Promise<void> {
    const delayMs = this.host.retryDelaysMs[attempt - 1];
    const failed = result.errorCode !== null;
    const status = !failed ? "succeeded" : delayMs === undefined ? "dead_letter" : "queued";
    const nextAt =
      status === "queued" ? new Date(this.host.now().getTime() + (delayMs ?? 0)).toISOString() : null;
    const attemptedAt = at.toISOString();
    await this.host.db.transaction().execute(async (tx) => {
      const updated = await tx
        .updateTable("deliveries")
        .set({
          delivery_status: status,
          attempt_count: attempt,
          next_attempt_at: nextAt,
          last_attempt_at: attemptedAt,
          last_response_status: result.responseStatus,
          last_error: result.errorMessage,
        })
        .where("id", "=", due.id)
        .executeTakeFirst();
      // Removed meanwhile, with its webhook.
      if (Number(updated.numUpdatedRows) === 0) return;
      await tx
        .insertInto("delivery_attempts")
        .values({
          id: randomUUID(),
          delivery_id: due.id,
          attempt_number: attempt,
          attempted_at: attemptedAt,
          duration_ms: durationMs,
          response_status: result.responseStatus,
          error_code: result.errorCode,
          error_message: result.errorMessage,
        })
        .execute();
      await tx
        .updateTable("webhooks")
        .set({
          last_delivery_at: attemptedAt,
          last_delivery_status: status,
          last_error: result.errorMessage,
        })
        .where("id", "=", due.webhook_id)
        .execute();
    });
  }
}
