import { createHmac, randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LifecycleEventRecord } from "../../../local/src/engine/record";
import { type Database, openStore } from "../../../local/src/store/store";
import { EngineWebhooks } from "../../../local/src/webhooks/webhooks";

interface Got {
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
}

/** A receiver that answers as the test says, and can be waited for. */
class Receiver {
  readonly got: Got[] = [];
  answer: (got: Got, number: number) => number | "never" | { status: number; location: string } = () => 204;
  private readonly server: Server;
  private waiting: (() => void)[] = [];

  constructor() {
    this.server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        const got = {
          path: request.url ?? "",
          headers: request.headers,
          body: Buffer.concat(chunks).toString(),
        };
        this.got.push(got);
        const answer = this.answer(got, this.got.length);
        if (typeof answer === "number") response.writeHead(answer).end();
        else if (answer !== "never") response.writeHead(answer.status, { location: answer.location }).end();
        for (const wake of this.waiting.splice(0)) wake();
      });
    });
  }

  async open(): Promise<string> {
    this.server.listen(0, "127.0.0.1");
    await once(this.server, "listening");
    return `http://127.0.0.1:${String((this.server.address() as AddressInfo).port)}`;
  }

  async received(count: number): Promise<Got[]> {
    while (this.got.length < count) await new Promise<void>((resolve) => this.waiting.push(resolve));
    return this.got;
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, "close");
  }
}

describe("webhooks", () => {
  const stateDir = mkdtempSync(join(tmpdir(), "machines-webhooks-"));
  const receiver = new Receiver();
  const known = new Map<string, LifecycleEventRecord>();
  const reports: string[] = [];
  let db: Database;
  let url: string;
  let webhooks: EngineWebhooks;
  let sequence = 0;

  const open = (retryDelaysMs = [1, 1], now = (): Date => new Date()): EngineWebhooks =>
    new EngineWebhooks({
      db,
      now,
      report: (message, error) => reports.push(`${message} ${String(error)}`),
      body: (event) => JSON.stringify({ event: event.id }),
      event: async (id) => known.get(id) as LifecycleEventRecord,
      allowHttpLoopback: true,
      retryDelaysMs,
    });

  beforeAll(async () => {
    db = await openStore({ stateDir });
    url = await receiver.open();
  });
  beforeEach(() => {
    receiver.got.length = 0;
    receiver.answer = () => 204;
    webhooks = open();
  });
  afterEach(async () => {
    for (const { id } of await webhooks.list()) await webhooks.remove(id);
    await webhooks.close();
    expect(reports).toEqual([]);
  });
  afterAll(async () => {
    await receiver.close();
    await db.destroy();
    rmSync(stateDir, { recursive: true, force: true });
  });

  const made = (over: Partial<Parameters<EngineWebhooks["create"]>[0]> = {}) =>
    webhooks.create({
      url: `${url}/hook`,
      operations: ["create"],
      signingSecret: "s3cret-value",
      enabled: true,
      ...over,
    });

  function event(over: Partial<LifecycleEventRecord> = {}): LifecycleEventRecord {
    const one: LifecycleEventRecord = {
      ...{
        sequence: ++sequence,
        id: randomUUID(),
        occurredAt: new Date().toISOString(),
        operation: "create",
      },
      ...{ status: "succeeded", actorKind: "user", machineId: "a", snapshotId: null, sourceMachineId: null },
      ...{ targetMachineId: null, reason: null, errorCode: null, errorMessage: null, metadata: {} },
      ...over,
    };
    known.set(one.id, one);
    return one;
  }

  async function happens(...events: LifecycleEventRecord[]): Promise<void> {
    await db.transaction().execute((tx) => webhooks.enqueue(tx, events));
    webhooks.poke();
  }

  /** The deliveries of a webhook, once none of them is on its way any more. */
  async function settled(id: string) {
    for (;;) {
      const found = await webhooks.deliveries(id, { offset: 0, limit: 100 });
      if (found.length > 0 && found.every((d) => ["succeeded", "dead_letter"].includes(d.deliveryStatus))) {
        return found.reverse();
      }
      await new Promise(setImmediate);
    }
  }

  /** The first attempt of a webhook's only delivery is in the store. */
  async function recorded(id: string): Promise<void> {
    while ((await webhooks.deliveries(id, { offset: 0, limit: 1 }))[0]?.attemptCount !== 1) {
      await new Promise(setImmediate);
    }
  }

  test("a delivery is signed over its raw body, names its event, and is recorded with its attempt", async () => {
    const webhook = await made();
    const one = event();
    await happens(one);
    const [delivery] = await settled(webhook.id);
    const [got] = await receiver.received(1);
    const hmac = createHmac("sha256", "s3cret-value")
      .update(got?.body ?? "")
      .digest("hex");
    expect(got).toMatchObject({
      path: "/hook",
      body: JSON.stringify({ event: one.id }),
      headers: {
        "content-type": "application/json",
        "x-nullspace-signature": `sha256=${hmac}`,
        "x-nullspace-event-id": one.id,
        "x-nullspace-delivery-id": delivery?.id,
        "x-nullspace-delivery-attempt": "1",
      },
    });
    const detail = await webhooks.delivery(webhook.id, delivery?.id ?? "");
    expect(detail).toMatchObject({
      delivery: {
        deliveryStatus: "succeeded",
        attemptCount: 1,
        lastResponseStatus: 204,
        nextAttemptAt: null,
      },
      event: { id: one.id },
      attempts: [{ attemptNumber: 1, responseStatus: 204, errorCode: null }],
    });
    expect(await webhooks.get(webhook.id)).toMatchObject({
      lastDeliveryStatus: "succeeded",
      lastError: null,
    });
    expect(JSON.stringify(await webhooks.list())).not.toContain("s3cret-value");
  });

  test("only enabled webhooks that ask for the operation are told", async () => {
    const asked = await made({ operations: ["destroy"] });
    const off = await made({ enabled: false });
    await made();
    await happens(event());
    await receiver.received(1);
    expect(await webhooks.deliveries(asked.id, { offset: 0, limit: 10 })).toEqual([]);
    expect(await webhooks.deliveries(off.id, { offset: 0, limit: 10 })).toEqual([]);
    expect(receiver.got).toHaveLength(1);
  });

  test("a failure is tried again with the same ids, and then succeeds", async () => {
    receiver.answer = (_got, number) => (number === 1 ? 503 : 200);
    const webhook = await made();
    await happens(event());
    const [delivery] = await settled(webhook.id);
    const detail = await webhooks.delivery(webhook.id, delivery?.id ?? "");
    expect(detail.delivery).toMatchObject({ deliveryStatus: "succeeded", attemptCount: 2, lastError: null });
    expect(detail.attempts).toMatchObject([
      { attemptNumber: 1, responseStatus: 503, errorCode: "http_error" },
      { attemptNumber: 2, responseStatus: 200, errorCode: null },
    ]);
    expect(receiver.got.map((got) => got.headers["x-nullspace-delivery-id"])).toEqual([
      delivery?.id,
      delivery?.id,
    ]);
  });

  test("after the last retry it is a dead letter, with the reason", async () => {
    receiver.answer = () => 500;
    const webhook = await made();
    await happens(event());
    const [delivery] = await settled(webhook.id);
    expect(delivery).toMatchObject({
      deliveryStatus: "dead_letter",
      attemptCount: 3,
      lastError: "answered 500",
    });
    expect(await webhooks.get(webhook.id)).toMatchObject({ lastDeliveryStatus: "dead_letter" });
  });

  test("a retry that falls due while it is looked for what is due is not forgotten", async () => {
    await webhooks.close();
    // Each look at the clock is a millisecond after the one before.
    let now = Date.now();
    webhooks = open([1, 2, 3, 4, 5, 6, 7, 8], () => new Date((now += 1)));
    receiver.answer = () => 500;
    const webhook = await made();
    await happens(event());
    const [delivery] = await settled(webhook.id);
    expect(delivery).toMatchObject({ deliveryStatus: "dead_letter", attemptCount: 9 });
  });

  test("redirects are not followed", async () => {
    receiver.answer = (got) => (got.path === "/hook" ? { status: 302, location: `${url}/elsewhere` } : 200);
    const webhook = await made();
    await happens(event());
    const [delivery] = await settled(webhook.id);
    expect(delivery).toMatchObject({ deliveryStatus: "dead_letter", lastResponseStatus: 302 });
    expect(receiver.got.map((got) => got.path)).toEqual(["/hook", "/hook", "/hook"]);
  });

  test("an address that refuses connections is told by its code", async () => {
    const gone = new Receiver();
    const nobody = await gone.open();
    await gone.close();
    const webhook = await made({ url: nobody });
    await happens(event());
    const [delivery] = await settled(webhook.id);
    expect(delivery?.lastError).toContain("ECONNREFUSED");
  });

  test("deliveries of one machine come in the order of its events, those of others do not wait for them", async () => {
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    const order: string[] = [];
    const slow = createServer((request, response) => {
      request.resume().on("end", () => {
        order.push(String(request.headers["x-nullspace-event-id"]));
        const first = order.length === 1;
        void (first ? held : Promise.resolve()).then(() => response.writeHead(200).end());
        if (order.length === 2) release();
      });
    });
    slow.listen(0, "127.0.0.1");
    await once(slow, "listening");
    const webhook = await made({ url: `http://127.0.0.1:${String((slow.address() as AddressInfo).port)}/` });
    const [a1, a2, a3, b1] = [event(), event(), event(), event({ machineId: "b" })];
    await happens(a1, a2, a3, b1);
    await settled(webhook.id);
    expect(order.slice(0, 2)).toEqual([a1.id, b1.id]);
    expect(order.filter((id) => id !== b1.id)).toEqual([a1.id, a2.id, a3.id]);
    slow.close();
    slow.closeAllConnections();
  });

  test("what was on its way when the control plane ended is sent again by the next one", async () => {
    receiver.answer = () => "never";
    const webhook = await made();
    const one = event();
    await happens(one);
    await receiver.received(1);
    await webhooks.close();
    receiver.answer = () => 200;
    webhooks = open();
    await webhooks.resume();
    const [delivery] = await settled(webhook.id);
    expect(delivery).toMatchObject({ deliveryStatus: "succeeded", attemptCount: 1 });
    expect(receiver.got.map((got) => got.headers["x-nullspace-event-id"])).toEqual([one.id, one.id]);
  });

  test("a webhook that is switched off keeps what waits, and sends it when it is switched on", async () => {
    receiver.answer = () => 500;
    await webhooks.close();
    webhooks = open([60_000]);
    const webhook = await made();
    await happens(event());
    await recorded(webhook.id);
    await webhooks.update(webhook.id, { enabled: false, signingSecret: "another-secret" });
    await db
      .updateTable("deliveries")
      .set({ next_attempt_at: new Date(0).toISOString() })
      .execute();
    webhooks.poke();
    receiver.answer = () => 200;
    expect(receiver.got).toHaveLength(1);
    await webhooks.update(webhook.id, { enabled: true });
    await settled(webhook.id);
    const again = receiver.got.at(-1);
    const hmac = createHmac("sha256", "another-secret")
      .update(again?.body ?? "")
      .digest("hex");
    expect(again?.headers["x-nullspace-signature"]).toBe(`sha256=${hmac}`);
  });

  test("removing a webhook drops what waits, also what is on its way", async () => {
    receiver.answer = () => "never";
    const webhook = await made();
    await happens(event(), event());
    await receiver.received(1);
    await webhooks.remove(webhook.id);
    await expect(webhooks.get(webhook.id)).rejects.toMatchObject({ code: "webhook_not_found" });
    await expect(webhooks.remove(webhook.id)).rejects.toMatchObject({ code: "webhook_not_found" });
    expect(await db.selectFrom("deliveries").selectAll().execute()).toEqual([]);
  });

  test("a url that may not be reached is refused, in create and in update", async () => {
    await expect(made({ url: "http://169.254.169.254/" })).rejects.toMatchObject({
      code: "webhook_url_refused",
    });
    const webhook = await made();
    await expect(webhooks.update(webhook.id, { url: "ftp://x" })).rejects.toMatchObject({
      code: "webhook_url_refused",
    });
    expect((await webhooks.get(webhook.id)).url).toBe(`${url}/hook`);
  });
});
