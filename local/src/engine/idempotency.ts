/**
 * Makes a mutation once. The answer is stored under its key in the transaction of the change it reports, so that a key
 * that was answered is always answered the same, and one that was not has changed nothing.
 */
import type { Database, Tx } from "../store/store";
import { type IdempotentRequest, Refusal, type StoredAnswer } from "./control-plane";

/** How long a key is remembered, in milliseconds: 7 days. */
export const keyLifetimeMs = 7 * 86_400_000;

const inFlightRetryMs = 250;

export class Idempotency {
  private readonly inFlight = new Set<string>();

  constructor(
    private readonly db: Database,
    private readonly now: () => Date,
  ) {}

  /**
   * Runs `mutate` unless the key was answered before. `mutate` makes its change in the transaction that it opens, and
   * calls `store` in it with its answer.
   * @throws Refusal idempotency_key_reused, idempotency_in_flight, or whatever `mutate` throws (then nothing is stored).
   */
  async once(
    request: IdempotentRequest,
    mutate: (store: (tx: Tx, answer: StoredAnswer) => Promise<void>) => Promise<StoredAnswer>,
  ): Promise<StoredAnswer> {
    const name = JSON.stringify([request.scope, request.key]);
    if (this.inFlight.has(name)) {
      throw new Refusal("idempotency_in_flight", "idempotency key is already in-flight", {
        retryable: true,
        retryAfterMs: inFlightRetryMs,
      });
    }
    this.inFlight.add(name);
    try {
      return (await this.earlier(request)) ?? (await mutate((tx, answer) => this.store(tx, request, answer)));
    } finally {
      this.inFlight.delete(name);
    }
  }

  /** Forgets keys that are older than their lifetime. */
  async prune(): Promise<void> {
    const before = new Date(this.now().getTime() - keyLifetimeMs).toISOString();
    await this.db.deleteFrom("idempotency").where("created_at", "<", before).execute();
  }

  private async earlier(request: IdempotentRequest): Promise<StoredAnswer | undefined> {
    const row = await this.db
      .selectFrom("idempotency")
      .selectAll()
      .where("scope", "=", request.scope)
      .where("key", "=", request.key)
      .executeTakeFirst();
    if (!row) return undefined;
    if (row.request_hash !== request.requestHash) {
      throw new Refusal(
        "idempotency_key_reused",
        "idempotency key reused with different request parameters",
        {
          details: { expected_request_hash: row.request_hash, provided_request_hash: request.requestHash },
        },
      );
    }
    return { status: row.status, headers: JSON.parse(row.headers) as Record<string, string>, body: row.body };
  }

  private async store(tx: Tx, request: IdempotentRequest, answer: StoredAnswer): Promise<void> {
    await tx
      .insertInto("idempotency")
      .values({
        scope: request.scope,
        key: request.key,
        request_hash: request.requestHash,
        status: answer.status,
        headers: JSON.stringify(answer.headers),
        body: answer.body,
        created_at: this.now().toISOString(),
      })
      .execute();
  }
}
