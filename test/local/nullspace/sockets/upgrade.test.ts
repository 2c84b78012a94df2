/** Who may open a WebSocket, and how everybody else is told. */
import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import type { Local } from "../../../../local/src/start-local";
import { Api, eventually, startTestLocal } from "../control-plane";
import { keyOf, refusal, TestSocket, upgrade } from "./socket-client";

let local: Local;
let id: string;
beforeAll(async () => {
  local = await startTestLocal({ maxSockets: 3 });
  id = await new Api(local).machine();
});
afterAll(() => local.close());
afterEach(() => {
  local.faults.replace({ rules: [] });
});

const paths = () => [
  `/v1/machines/${id}/ws`,
  `/v1/machines/${id}/ws?channel=exec`,
  `/v1/machines/${id}/ws?channel=pty`,
  `/v1/machines/${id}/lifecycle/ws`,
  "/v1/lifecycle/ws",
  "/v1/monitor/ws",
];

describe("an upgrade", () => {
  it("opens each of the sockets with the key", async () => {
    for (const path of paths()) expect([path, await refusal(local, path)]).toEqual([path, [101]]);
  });

  it("without the key, or with a wrong one, is 401 in the vendor's envelope, whatever the path", async () => {
    for (const path of [...paths(), "/v1/none/ws", "/v1/machines/mch_none/ws"]) {
      expect(await refusal(local, path, { headers: {} })).toEqual([401, "unauthorized"]);
      const wrong = { headers: { authorization: "Bearer wrong" } };
      expect(await refusal(local, path, wrong)).toEqual([401, "unauthorized"]);
    }
    const refused = await upgrade(local, "/v1/lifecycle/ws");
    if (refused instanceof TestSocket) throw new Error("it was let in");
    expect(refused.headers["x-request-id"]).toBe(refused.json["request_id"]);
    expect(refused.headers["content-type"]).toBe("application/json");
    expect(refused.headers["www-authenticate"]).toContain("Bearer");
    expect(refused.json["error"]).toContain("missing API key");
  });

  it("does not take a key from the query, nor, but for the monitor, as a subprotocol", async () => {
    const path = `/v1/lifecycle/ws?api_key=${local.apiKey}&authorization=${local.apiKey}`;
    expect(await refusal(local, path, { headers: {} })).toEqual([401, "unauthorized"]);
    const asProtocol = { headers: {}, protocols: [local.apiKey] };
    expect(await refusal(local, "/v1/lifecycle/ws", asProtocol)).toEqual([401, "unauthorized"]);
    expect(await refusal(local, "/v1/monitor/ws", { headers: {}, protocols: ["wrong"] })).toEqual([
      401,
      "unauthorized",
    ]);
    const monitor = await upgrade(local, "/v1/monitor/ws", asProtocol);
    if (!(monitor instanceof TestSocket)) throw new Error(JSON.stringify(monitor.json));
    expect(monitor.ws.protocol).toBe(local.apiKey);
    await monitor[Symbol.asyncDispose]();
  });

  it("by another host's name is 403: a web page could make its own name point here", async () => {
    const headers = { ...keyOf(local), host: "evil.example" };
    expect(await refusal(local, "/v1/lifecycle/ws", { headers })).toEqual([403, "forbidden"]);
  });

  it.each([
    ["/v1/none/ws", [404, "not_found"]],
    ["/v1/machines", [404, "not_found"]],
    ["/v1/lifecycle/ws/", [404, "not_found"]],
    ["/v1//lifecycle/ws", [404, "not_found"]],
    ["/v1/lifecycle%2Fws", [404, "not_found"]],
    ["/v1/%zz/ws", [404, "not_found"]],
    ["/v1/machines/mch_none/ws", [404, "machine_not_found"]],
    ["/v1/machines/none/ws", [404, "machine_not_found"]],
    ["/v1/machines/mch_a%2F..%2Fb/ws", [404, "not_found"]],
    ["/v1/machines/mch_none/lifecycle/ws", [404, "machine_not_found"]],
    ["/v1/volumes/vol_1/ws", [501, "not_implemented"]],
    ["/dedalus/v1/machines", [404, "not_found"]],
    ["/", [404, "not_found"]],
  ])("to %s is %j", async (path, expected) => {
    expect(await refusal(local, path)).toEqual(expected);
  });

  it("decodes each part of a path by itself, as the routes do, and asks for the key by any spelling", async () => {
    const path = "/v1/%6cifecycle/w%73";
    expect(await refusal(local, path, { headers: {} })).toEqual([401, "unauthorized"]);
    expect(await refusal(local, path)).toEqual([101]);
  });

  it("with an unknown or a repeated channel is 400 and says what there is", async () => {
    for (const query of ["channel=desktop", "channel=", "channel=exec&channel=pty"]) {
      expect(await refusal(local, `/v1/machines/${id}/ws?${query}`)).toEqual([400, "invalid_request"]);
    }
  });

  it("to a destroyed machine is 404, but for its lifecycle, which outlives it", async () => {
    const api = new Api(local);
    const gone = await api.machine();
    await api.ask("DELETE", `/v1/machines/${gone}`);
    expect(await refusal(local, `/v1/machines/${gone}/ws`)).toEqual([404, "machine_not_found"]);
    expect(await refusal(local, `/v1/machines/${gone}/lifecycle/ws`)).toEqual([101]);
  });

  it("beyond the limit of the key is 429 with a time to wait, until one is closed", async () => {
    const held = await Promise.all([1, 2, 3].map(() => TestSocket.open(local, "/v1/lifecycle/ws")));
    const refused = await upgrade(local, "/v1/lifecycle/ws", { headers: keyOf(local) });
    if (refused instanceof TestSocket) throw new Error("it was let in");
    expect([refused.status, refused.json["code"], refused.headers["retry-after"]]).toEqual([
      429,
      "rate_limit_exceeded",
      "1",
    ]);
    expect(refused.json["error"]).toContain("3 WebSockets");
    await held.pop()?.[Symbol.asyncDispose]();
    await eventually("a place is free", async () => (await refusal(local, "/v1/lifecycle/ws"))[0] === 101);
    for (const socket of held) await socket[Symbol.asyncDispose]();
  });

  it("that is no proper handshake is 400 in the vendor's envelope", async () => {
    const { port, hostname } = new URL(local.url);
    for (const headers of [
      {},
      { "sec-websocket-key": "short", "sec-websocket-version": "13" },
      { "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==", "sec-websocket-version": "7" },
    ]) {
      const request = httpRequest({
        ...{ port, hostname, path: "/nullspace/v1/lifecycle/ws" },
        headers: { ...keyOf(local), connection: "upgrade", upgrade: "websocket", ...headers },
      });
      request.end();
      const [response] = (await once(request, "response")) as [import("node:http").IncomingMessage];
      let body = "";
      for await (const part of response) body += String(part);
      expect([response.statusCode, (JSON.parse(body) as { code: string }).code]).toEqual([
        400,
        "invalid_request",
      ]);
    }
  });

  it("to something else than WebSocket is an offer that is not taken: the request is answered", async () => {
    const { port, hostname } = new URL(local.url);
    const headers = { ...keyOf(local), connection: "upgrade, http2-settings", upgrade: "h2c" };
    const path = "/nullspace/v1/machines";
    const request = httpRequest({ port, hostname, path, headers });
    request.end();
    const [response] = (await once(request, "response")) as [import("node:http").IncomingMessage];
    response.resume();
    expect(response.statusCode).toBe(200);
  });
});

describe("the fault script", () => {
  it("refuses upgrades, a number of times", async () => {
    const refuse = { status: 503, errorCode: "capacity_exceeded" };
    const rule = { on: "request", path: "/v1/lifecycle", times: 1, refuse };
    await script(rule);
    expect(await refusal(local, "/v1/lifecycle/ws")).toEqual([503, "capacity_exceeded"]);
    expect(await refusal(local, "/v1/lifecycle/ws")).toEqual([101]);
  });

  it("delays them", async () => {
    await script({ on: "request", method: "GET", path: "/v1/lifecycle/ws", delayMs: 120 });
    const from = performance.now();
    expect(await refusal(local, "/v1/lifecycle/ws")).toEqual([101]);
    expect(performance.now() - from).toBeGreaterThan(110);
  });

  it("loses the answer", async () => {
    await script({ on: "request", path: "/v1/lifecycle/ws", loseAnswer: true, times: 1 });
    await expect(refusal(local, "/v1/lifecycle/ws")).rejects.toThrow(/socket hang up|ECONNRESET/);
  });

  const script = async (rule: object): Promise<void> => {
    const response = await fetch(`${local.url}/local/faults`, {
      method: "PUT",
      headers: { ...keyOf(local), "content-type": "application/json" },
      body: JSON.stringify({ rules: [rule] }),
    });
    expect(response.status).toBeLessThan(300);
  };
});

it("a client that goes away before the answer does no harm", async () => {
  const other = await startTestLocal({
    faults: {
      rules: [{ on: "request", path: "/v1/lifecycle/ws", delayMs: 60, after: 0, loseAnswer: false }],
    },
  });
  const { port, hostname } = new URL(other.url);
  for (let n = 0; n < 5; n++) {
    const raw = connect(Number(port), hostname);
    raw.on("error", () => undefined);
    await once(raw, "connect");
    raw.write(
      `GET /nullspace/v1/lifecycle/ws HTTP/1.1\r\nhost: ${hostname}\r\nauthorization: Bearer ${other.apiKey}\r\n` +
        "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n" +
        "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    raw.resetAndDestroy();
  }
  other.faults.replace({ rules: [] });
  await eventually("it still serves", async () => (await refusal(other, "/v1/lifecycle/ws"))[0] === 101);
  await other.close();
});

it("an upgrade that waits while the control plane stops is refused, and does not hold it", async () => {
  const other = await startTestLocal({
    faults: {
      rules: [{ on: "request", path: "/v1/lifecycle/ws", delayMs: 60_000, after: 0, loseAnswer: false }],
    },
  });
  const { faults } = other;
  const ask = faults.forRequest.bind(faults);
  const asked = new Promise<void>((resolve) => {
    faults.forRequest = (...request) => {
      resolve();
      return ask(...request);
    };
  });
  const waiting = refusal(other, "/v1/lifecycle/ws");
  await asked;
  const from = performance.now();
  await Promise.all([other.close(), waiting.then((told) => expect(told[0]).toBe(503))]);
  expect(performance.now() - from).toBeLessThan(5_000);
});
