import { recoveryRetry, uploadRetry } from "../../../sdk/src/nullspace/retry";
import type { NullspaceClient } from "../../../sdk/src/nullspace/client";
import type { Outcome } from "../../../sdk/src/retry-timing";
import { sendJson } from "../loopback";
import { clientTo, closeAll, failureOf, serve, serveRaw, wireMachine } from "./client-to";

afterEach(closeAll);

const limited = { error: "slow down", code: "rate_limit_exceeded" };
const busy = { error: "still at it", code: "transition_in_progress" };
const snapshot = { id: "snap_1", machine_id: "mch_one", size_bytes: 1, created_at: "2026-05-12T00:00:00Z" };
const keys = (seen: { headers: NodeJS.Dict<string | string[]> }[]) =>
  new Set(seen.map(({ headers }) => headers["idempotency-key"]));

describe("429", () => {
  test("is met three more times at the service's own time, a decimal number of seconds", async () => {
    const { client, server, deps } = await serve((response) =>
      sendJson(response, 429, limited, { "retry-after": "0.25" }),
    );
    const error = await failureOf(client.machines.get("mch_one"));
    expect(error).toMatchObject({ name: "RateLimitError", retryAfterMs: 250, retryable: true });
    expect(server.seen).toHaveLength(4);
    expect(deps.waits).toEqual([250, 250, 250]);
  });

  test.each<[string, Record<string, string>]>([
    ["says nothing", {}],
    ["says nonsense", { "retry-after": "soon" }],
  ])("that %s is met after a second", async (_name, headers) => {
    const { client, deps } = await serve((response, _request, count) =>
      count === 1 ? sendJson(response, 429, limited, headers) : sendJson(response, 200, wireMachine()),
    );
    await client.machines.get("mch_one");
    expect(deps.waits).toEqual([1_000]);
  });

  test("of any code is met on any call, with the same body and key", async () => {
    const { client, server } = await serve((response) =>
      sendJson(response, 429, { error: "no", code: "quota_exceeded" }),
    );
    expect(await failureOf(client.machines.create({ vcpus: 2 }))).toMatchObject({
      name: "QuotaExceededError",
    });
    expect(server.seen).toHaveLength(4);
    expect(new Set(server.seen.map(({ body }) => body)).size).toBe(1);
    expect(keys(server.seen).size).toBe(1);
  });

  test("is not waited for beyond a minute, or when retries are off", async () => {
    const { client, server, deps } = await serve((response) =>
      sendJson(response, 429, limited, { "retry-after": "61" }),
    );
    expect(await failureOf(client.machines.get("mch_one"))).toMatchObject({ retryAfterMs: 61_000 });
    const never = clientTo(server.url, { maxRetries: 0 }).client;
    await failureOf(never.machines.create());
    expect(server.seen).toHaveLength(2);
    expect(deps.waits).toEqual([]);
  });
});

describe("everything else is told at once", () => {
  const calls: [string, (client: NullspaceClient) => Promise<unknown>][] = [
    ["a read", (client) => client.machines.get("mch_one")],
    ["a hibernate", (client) => client.machines.hibernate("mch_one")],
    ["a delete", (client) => client.machines.delete("mch_one")],
  ];
  test.each(calls)("%s that is answered with 503", async (_name, call) => {
    const { client, server } = await serve((response) =>
      sendJson(response, 503, { error: "down", code: "internal_error" }),
    );
    expect(await failureOf(call(client))).toMatchObject({ status: 503, retryable: true });
    expect(server.seen).toHaveLength(1);
  });

  test.each(calls)("%s whose connection breaks", async (_name, call) => {
    const { client, server } = await serveRaw((socket) => socket.destroy());
    expect(await failureOf(call(client))).toMatchObject({ code: "connection_lost", retryable: true });
    expect(server.seen).toHaveLength(1);
  });
});

describe("a create", () => {
  test("that is still at work, or was lost, is asked for again with the same key until it is there", async () => {
    const raw = JSON.stringify(wireMachine());
    const { client, server, deps } = await serveRaw((socket, _head, count) => {
      const body = JSON.stringify({
        ...busy,
        code: count === 1 ? busy.code : "transition_recovery_required",
      });
      if (count <= 2) {
        socket.end(`HTTP/1.1 409 Conflict\r\ncontent-length: ${String(body.length)}\r\n\r\n${body}`);
      } else if (count === 3) socket.destroy();
      else if (count === 4) socket.end("HTTP/1.1 201 Created\r\ncontent-length: 900\r\n\r\n{");
      else socket.end(`HTTP/1.1 201 Created\r\ncontent-length: ${String(raw.length)}\r\n\r\n${raw}`);
    });
    const machine = await client.machines.create({}, { idempotencyKey: "mine" });
    expect(machine.id).toBe("mch_one");
    expect(server.seen).toHaveLength(5);
    expect(deps.waits).toEqual([500, 1_000, 2_000, 4_000]);
  });

  test("is asked for 30 times at most, 10 seconds apart at most", async () => {
    const { client, server, deps } = await serve((response) => sendJson(response, 409, busy));
    expect(await failureOf(client.machines.create())).toMatchObject({ code: "transition_in_progress" });
    expect(server.seen).toHaveLength(30);
    expect(Math.max(...deps.waits)).toBe(10_000);
    expect(keys(server.seen).size).toBe(1);
  });

  test("that reached nobody is told at once", async () => {
    const { client, server, deps } = await serve(() => undefined);
    await server.close();
    expect(await failureOf(client.machines.create())).toMatchObject({ code: "connection_refused" });
    expect(deps.waits).toEqual([]);
  });

  test("of another refusal is told at once", async () => {
    const { client, server } = await serve((response) =>
      sendJson(response, 503, { error: "full", code: "capacity_exceeded" }),
    );
    await failureOf(client.machines.create());
    expect(server.seen).toHaveLength(1);
  });

  test("has its own limit of silence, and a limit of the caller covers all of it", async () => {
    const { client, server } = await serve((response) => sendJson(response, 409, busy));
    const deadline = client.machines.create({}, { timeoutMs: 100 });
    expect(await failureOf(deadline)).toMatchObject({ code: "transition_in_progress" });
    expect(server.seen).toHaveLength(1);
  });
});

test.each<[string, (client: NullspaceClient) => Promise<unknown>, unknown]>([
  ["fork", (client) => client.machines.fork("mch_one"), wireMachine("mch_two")],
  ["snapshot", (client) => client.snapshots.create("mch_one"), snapshot],
])("a %s that was lost is asked for again with the same key", async (_name, call, body) => {
  const { client, server } = await serve((response, _request, count) => {
    if (count === 1) response.destroy();
    else sendJson(response, 201, body);
  });
  await call(client);
  expect(server.seen).toHaveLength(2);
  expect(keys(server.seen).size).toBe(1);
  expect([...keys(server.seen)][0]).toMatch(/^[0-9a-f-]{36}$/);
});

test("an aborted call ends with the caller's reason, while it waits too", async () => {
  const stop = new AbortController();
  const { client } = await serve((response) => sendJson(response, 409, busy), {
    deps: {
      sleep: async (_ms, signal) => {
        stop.abort(new Error("enough"));
        await Promise.resolve();
        signal?.throwIfAborted();
      },
    },
  });
  await expect(client.machines.create({}, { signal: stop.signal })).rejects.toThrow("enough");
});

test("silence ends a request after the time that the client was given", async () => {
  const { client } = await serve(() => undefined, { timeoutMs: 50 });
  expect(await failureOf(client.machines.get("mch_one"))).toMatchObject({
    code: "answer_timeout",
    retryable: true,
  });
});

describe("the policies", () => {
  const attempt = { number: 0, limited: 0, maxRetries: 3, remainingMs: 1e9, repeatable: true };
  const answered = (status: number, code?: string): Outcome => ({ kind: "answered", status, code });

  test("do not wait past the deadline", () => {
    expect(recoveryRetry.delay({ kind: "lost" }, { ...attempt, remainingMs: 400 }, 0)).toBeUndefined();
    expect(uploadRetry.delay({ kind: "lost" }, { ...attempt, remainingMs: 200 }, 0)).toBeUndefined();
  });

  test("an upload is tried six times, from 0.25 s to 4 s, with up to a quarter more", () => {
    const delays = [0, 1, 2, 3, 4, 5].map((number) =>
      uploadRetry.delay({ kind: "unreached" }, { ...attempt, number }, 0),
    );
    expect(delays).toEqual([250, 500, 1_000, 2_000, 4_000, undefined]);
    expect(uploadRetry.delay({ kind: "lost" }, attempt, 0.999)).toBe(312);
    expect(uploadRetry.delay(answered(409), attempt, 0)).toBeUndefined();
    expect(uploadRetry.delay(answered(503), attempt, 0)).toBe(250);
  });

  test.each<[Outcome, boolean]>([
    [answered(500, "internal_error"), true],
    [answered(501, "not_implemented"), false],
    [answered(502, "exec_failed"), false],
    [answered(504, "exec_timeout"), false],
    [answered(409, "transition_in_progress"), true],
    [answered(409, "machine_not_ready"), false],
    [{ ...answered(503), bodyRetryable: false } as Outcome, false],
    [{ kind: "lost" }, true],
    [{ kind: "final" }, false],
  ])("%j may help when asked again: %s", (outcome, expected) => {
    expect(recoveryRetry.mayHelp(outcome)).toBe(expected);
  });
});
