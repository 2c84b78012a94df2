import { inspect } from "node:util";
import { realDeps } from "../../sdk/src/deps";
import { dedalusManners } from "../../sdk/src/dedalus/manners";
import {
  AnswerError,
  ConnectionError,
  DeadlineError,
  NotFoundError,
  ProtocolError,
} from "../../sdk/src/errors";
import type { Call } from "../../sdk/src/call";
import { Transport } from "../../sdk/src/http";
import { freePort, httpServer, rawServer, sendJson, type Answer, type Loopback } from "./loopback";
import { patientDeps } from "./patient";

const key = 'sk-"quoted"/key+1';
const open: AsyncDisposable[] = [];
afterEach(async () => {
  for (const each of open.splice(0)) await each[Symbol.asyncDispose]();
});

function transportTo(url: string, settings: { timeoutMs?: number; maxRetries?: number } = {}) {
  const deps = patientDeps();
  const transport = new Transport(
    {
      ...dedalusManners,
      baseUrl: new URL(url),
      headers: { authorization: `Bearer ${key}` },
      secrets: [key],
      timeoutMs: 20_000,
      maxRetries: 2,
      ...settings,
    },
    deps,
  );
  open.push(transport);
  return { transport, deps };
}

async function serve(answer: Answer): Promise<Loopback> {
  const server = await httpServer(answer);
  open.push(server);
  return server;
}
async function serveRaw(...script: Parameters<typeof rawServer>): Promise<Loopback> {
  const server = await rawServer(...script);
  open.push(server);
  return server;
}

const read: Call = { what: "read machine dm-one", machineId: "dm-one", method: "GET", path: "/v1/x" };
const change: Call = { what: "create a machine", method: "POST", path: "/v1/x", body: { a: 1 } };
const failureOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => {
      throw new Error("it succeeded");
    },
    (error: unknown) => error,
  );

describe("a request", () => {
  test("carries auth, one idempotency key, its body and query, below the base URL's own path", async () => {
    const server = await serve((response) => sendJson(response, 202, { ok: 1 }, { "x-request-id": "req-1" }));
    const { transport } = transportTo(`${server.url}/dedalus/`);
    const answer = await transport.json({ ...change, query: { limit: 5, cursor: undefined } });
    expect(answer).toEqual({ status: 202, body: { ok: 1 }, requestId: "req-1" });
    expect(server.seen).toHaveLength(1);
    expect(server.seen[0]).toMatchObject({ method: "POST", url: "/dedalus/v1/x?limit=5", body: '{"a":1}' });
    expect(server.seen[0]?.headers).toMatchObject({
      authorization: `Bearer ${key}`,
      "content-type": "application/json",
      "idempotency-key": expect.stringMatching(/^[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}$/) as string,
    });
  });

  test("that reads carries no idempotency key and no content type", async () => {
    const server = await serve((response) => sendJson(response, 200, {}));
    await transportTo(server.url).transport.json(read);
    expect(server.seen[0]?.headers).not.toHaveProperty("idempotency-key");
    expect(server.seen[0]?.headers).not.toHaveProperty("content-type");
  });

  test("keeps the caller's idempotency key over all attempts", async () => {
    const server = await serve((response, _request, count) =>
      count < 3 ? sendJson(response, 503, {}) : sendJson(response, 200, {}),
    );
    await transportTo(server.url).transport.json({ ...change, options: { idempotencyKey: "mine" } });
    expect(server.seen.map((request) => request.headers["idempotency-key"])).toEqual([
      "mine",
      "mine",
      "mine",
    ]);
  });

  test("refuses an idempotency key that a header cannot carry", async () => {
    const { transport } = transportTo("http://127.0.0.1:9");
    const call = { ...change, options: { idempotencyKey: "a\nb" } };
    await expect(transport.json(call)).rejects.toMatchObject({ code: "invalid_argument" });
  });
});

describe("a retry", () => {
  test.each([
    ["503", 503, {}, {}, 3],
    ["503 that says no in its header", 503, {}, { "x-should-retry": "false" }, 1],
    [
      "429 that says no in its body",
      429,
      { error_code: "RATE_LIMITED", message: "m", retryable: false },
      {},
      1,
    ],
    [
      "409 that says yes in its body",
      409,
      { error_code: "INVALID_STATE", message: "m", retryable: true },
      {},
      3,
    ],
    ["409 that says no", 409, { error_code: "INVALID_STATE", message: "m", retryable: false }, {}, 1],
    ["409 REVISION_MISMATCH", 409, { error_code: "REVISION_MISMATCH", message: "m", retryable: true }, {}, 1],
    ["422", 422, { title: "no" }, {}, 1],
  ])("after %s", async (_name, status, body, headers, attempts) => {
    const server = await serve((response) => sendJson(response, status, body, headers));
    const error = await failureOf(transportTo(server.url).transport.json(change));
    expect(error).toBeInstanceOf(AnswerError);
    expect(error).toMatchObject({ status });
    expect(server.seen).toHaveLength(attempts);
    expect(new Set(server.seen.map((request) => request.headers["idempotency-key"])).size).toBe(1);
  });

  test("waits as long as the body says, else as the header says", async () => {
    const bodies = [
      { error_code: "RATE_LIMITED", message: "m", retryable: true, retry_after_ms: 84 },
      { error_code: "RATE_LIMITED", message: "m", retryable: true },
    ];
    const server = await serve((response, _request, count) =>
      sendJson(response, count > 2 ? 200 : 429, bodies[count - 1], { "retry-after-ms": "33" }),
    );
    const { transport, deps } = transportTo(server.url);
    await transport.json(change);
    expect(deps.waits).toEqual([84, 33]);
  });

  test.each([
    ["closes the connection without an answer", ""],
    ["stops within the headers", "HTTP/1.1 200 OK\r\ncontent-le"],
    ["stops within a body of known length", 'HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n{"a":'],
    [
      "stops within a body of known length that closes",
      'HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 20\r\n\r\n{"a":',
    ],
    ["stops within a chunk", 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{"a":\r\n'],
    [
      "stops within a chunk that closes",
      'HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{"a":\r\n',
    ],
    ["stops within a body without a length", 'HTTP/1.1 200 OK\r\n\r\n{"a":'],
  ])("follows when the server %s, whether by FIN or by RST", async (_name, bytes) => {
    for (const end of ["end", "resetAndDestroy"] as const) {
      const server = await serveRaw((socket, _head, count) => {
        if (count === 2) socket.end('HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n{"ok":1}');
        else if (bytes === "") socket[end]();
        else socket.write(bytes, () => socket[end]());
      });
      const answer = await transportTo(server.url).transport.json(change);
      expect(answer.body).toEqual({ ok: 1 });
      expect(server.seen).toHaveLength(2);
    }
  });

  test("follows when nothing listens, and then says what to check", async () => {
    const { transport, deps } = transportTo(`http://127.0.0.1:${String(await freePort())}`);
    const error = await failureOf(transport.json(change));
    expect(error).toBeInstanceOf(ConnectionError);
    expect(error).toMatchObject({ code: "connection_refused", retryable: true });
    expect(String(error)).toContain("DEDALUS_BASE_URL");
    expect(inspect((error as Error).cause)).toContain("ECONNREFUSED");
    expect(deps.waits).toHaveLength(2);
  });

  test("follows when the host has no address", async () => {
    const { transport } = transportTo("http://no-such-host.invalid");
    const error = await failureOf(transport.json(read));
    expect(error).toMatchObject({ code: "host_not_found", retryable: true });
  });

  test("does not follow when the answer is no HTTP", async () => {
    const server = await serveRaw((socket) => socket.end("SSH-2.0-OpenSSH_9.2\r\n"));
    const error = await failureOf(transportTo(server.url).transport.json(read));
    expect(error).toBeInstanceOf(ProtocolError);
    expect(error).toMatchObject({ code: "not_http" });
    expect(server.seen).toHaveLength(1);
  });
});

describe("the end of patience", () => {
  test("a deadline covers all attempts and tells the last failure", async () => {
    const server = await serve((response, _request, count) => {
      if (count === 1)
        sendJson(response, 503, {
          error_code: "DEPENDENCY_UNAVAILABLE",
          message: "down",
          retryable: true,
          retry_after_ms: 1,
        });
    });
    const error = await failureOf(transportTo(server.url, { timeoutMs: 150 }).transport.json(read));
    expect(error).toBeInstanceOf(DeadlineError);
    expect(error).toMatchObject({ code: "deadline_exceeded", machineId: "dm-one", retryable: true });
    expect(String(error)).toMatch(/within 150 ms.*DEPENDENCY_UNAVAILABLE: down/);
  });

  test("a retry that the deadline does not leave time for is not waited for", async () => {
    const server = await serve((response) => sendJson(response, 503, {}, { "retry-after": "30" }));
    const { transport, deps } = transportTo(server.url, { timeoutMs: 5_000 });
    expect(await failureOf(transport.json(read))).toMatchObject({ status: 503, retryAfterMs: 30_000 });
    expect(deps.waits).toEqual([]);
  });

  test("an aborted call rejects with the caller's reason, while asking and while waiting", async () => {
    const reason = new Error("enough");
    const asking = new AbortController();
    const server = await serve(() => asking.abort(reason));
    await expect(
      transportTo(server.url).transport.json({ ...read, options: { signal: asking.signal } }),
    ).rejects.toBe(reason);

    const waiting = new AbortController();
    const busy = await serve((response) => sendJson(response, 503, {}));
    const { transport, deps } = transportTo(busy.url);
    deps.sleep = (ms, signal) => {
      const slept = realDeps.sleep(ms, signal);
      waiting.abort(reason);
      return slept;
    };
    await expect(transport.json({ ...read, options: { signal: waiting.signal } })).rejects.toBe(reason);
    expect(busy.seen).toHaveLength(1);
  });

  test("a closed client says so", async () => {
    const server = await serve(() => undefined);
    const { transport } = transportTo(server.url);
    const call = failureOf(transport.json(read));
    await transport.close();
    expect(await call).toMatchObject({ code: "client_closed", retryable: false });
    expect(await failureOf(transport.json(read))).toMatchObject({ code: "client_closed" });
  });
});

describe("an error answer", () => {
  test("in envelope A carries everything that the service said", async () => {
    const server = await serve((response) =>
      sendJson(
        response,
        409,
        {
          error_code: "SLEEP_HOLD_WINDOW_ACTIVE",
          message: "just woken",
          retryable: true,
          retry_after_ms: 250_000,
          details: { remaining_ms: "250000" },
        },
        { "x-request-id": "req-9" },
      ),
    );
    const error = await failureOf(transportTo(server.url).transport.json(read));
    expect(error).toBeInstanceOf(AnswerError);
    expect(error).toMatchObject({
      status: 409,
      code: "SLEEP_HOLD_WINDOW_ACTIVE",
      retryable: true,
      retryAfterMs: 250_000,
      details: { remaining_ms: "250000" },
      requestId: "req-9",
      machineId: "dm-one",
    });
    expect(String(error)).toContain("read machine dm-one at http://127.0.0.1");
    expect(String(error)).toContain("just woken (request id req-9)");
  });

  test("of 404 is its own class", async () => {
    const server = await serve((response) => sendJson(response, 404, { title: "Not Found", status: 404 }));
    const error = await failureOf(transportTo(server.url).transport.json(read));
    expect(error).toBeInstanceOf(NotFoundError);
    expect(error).toMatchObject({ status: 404, code: "http_404", retryable: false });
  });

  test("in no known format keeps its text, at most 64 KiB", async () => {
    const page = `<html>${"é".repeat(80_000)}`;
    const server = await serve((response) =>
      response.writeHead(400, { "content-type": "text/html" }).end(page),
    );
    const error = (await failureOf(transportTo(server.url).transport.json(read))) as AnswerError;
    expect(error).toMatchObject({ code: "http_400", retryable: false });
    expect(error.rawBody?.startsWith("<html>éé")).toBe(true);
    expect(Buffer.byteLength(error.rawBody ?? "")).toBeLessThanOrEqual(65_536);
    expect(error.message.length).toBeLessThan(500);
  });

  test.each([301, 302, 303, 307, 308])("of %i is refused: nothing follows the redirect", async (status) => {
    const elsewhere = await serve((response) => sendJson(response, 200, {}));
    const server = await serve((response) => response.writeHead(status, { location: elsewhere.url }).end());
    const error = await failureOf(transportTo(server.url).transport.json(change));
    expect(error).toBeInstanceOf(ProtocolError);
    expect(error).toMatchObject({ code: "redirect_refused", status });
    expect(elsewhere.seen).toEqual([]);
    expect(server.seen).toHaveLength(1);
  });
});

describe("a good answer", () => {
  test("that is too large is refused before it is read", async () => {
    const server = await serve(async (response) => {
      response.writeHead(200, { "content-type": "application/json" });
      const block = Buffer.alloc(1024 * 1024, "x");
      response.on("error", () => undefined).setMaxListeners(100);
      for (let sent = 0; sent < 256 && !response.destroyed; sent++) {
        if (!response.write(block)) {
          await new Promise<void>((resolve) => {
            response.once("drain", resolve).once("close", resolve);
          });
        }
      }
      response.end();
    });
    const error = await failureOf(transportTo(server.url).transport.json(read));
    expect(error).toMatchObject({ name: "ProtocolError", code: "answer_too_large" });
    expect(server.seen).toHaveLength(1);
  });

  test("that is no JSON is an error with its text", async () => {
    const server = await serve((response) => response.writeHead(200, { "content-length": "5" }).end("hello"));
    const error = await failureOf(transportTo(server.url).transport.json(read));
    expect(error).toMatchObject({ code: "unreadable_answer", rawBody: "hello", status: 200 });
    expect(server.seen).toHaveLength(1);
  });

  test("may be empty", async () => {
    const server = await serve((response) => response.writeHead(204).end());
    expect(await transportTo(server.url).transport.json(read)).toEqual({ status: 204, body: undefined });
  });
});

describe("a key that the server echoes", () => {
  const echoes: [string, Answer][] = [
    [
      "in envelope A",
      (response, request) => {
        const auth = String(request.headers.authorization);
        sendJson(
          response,
          401,
          { error_code: auth, message: auth, retryable: false, details: { [auth]: auth } },
          { "x-request-id": key },
        );
      },
    ],
    [
      "in envelope B",
      (response, request) => {
        const auth = String(request.headers.authorization);
        sendJson(response, 422, { title: auth, errors: [{ location: auth, message: auth, value: auth }] });
      },
    ],
    [
      "in a page, as text, as JSON and as a URL",
      (response) => {
        response.writeHead(503).end(`<p>${key} ${JSON.stringify(key)} ${encodeURIComponent(key)}`);
      },
    ],
    [
      "across the place where the page is cut",
      (response) => {
        response.writeHead(400).end("x".repeat(65_536 - 5) + key + "x".repeat(100_000));
      },
    ],
    [
      "across the place where reading stops",
      (response) => {
        response
          .writeHead(400)
          .end(key.repeat(2) + "x".repeat(65_536 + 4_096 - 5 - 2 * key.length) + key + "x".repeat(100_000));
      },
    ],
    [
      "in a redirect",
      (response) => response.writeHead(302, { location: `http://x/?k=${encodeURIComponent(key)}` }).end(),
    ],
    [
      "in an answer that is no JSON",
      (response) => response.writeHead(200, { "content-length": String(key.length) }).end(key),
    ],
  ];
  test.each(echoes)("%s is in no error and no log line", async (_name, answer) => {
    const server = await serve(answer);
    const { transport, deps } = transportTo(server.url);
    const error = (await failureOf(transport.json(read))) as Error;
    const shown = [
      inspect(error, { depth: 10, showHidden: true, maxStringLength: Infinity }),
      error.stack,
      JSON.stringify(error),
      ...deps.lines,
    ].join("\n");
    expect(shown).not.toContain("sk-");
    expect(shown).not.toContain(encodeURIComponent(key));
  });

  test("in bytes that are no HTTP is not in the cause either", async () => {
    const server = await serveRaw((socket) => socket.end(`HTTP/1.1 2x0 ${key}\r\n${key}: 1\r\n\r\n`));
    const error = await failureOf(transportTo(server.url).transport.json(read));
    expect(inspect(error, { depth: 10, showHidden: true, maxStringLength: Infinity })).not.toContain("sk-");
  });
});
