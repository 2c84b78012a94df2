import { once } from "node:events";
import type { WebSocket } from "ws";
import { ConnectionError, NotFoundError, ProtocolError, RateLimitError } from "../../sdk/src/errors";
import { nullspaceManners } from "../../sdk/src/nullspace/manners";
import { redactor } from "../../sdk/src/redact";
import type { Socket, SocketLimits } from "../../sdk/src/socket";
import { openingDelay, openSocket } from "../../sdk/src/socket-open";
import { freePort } from "./loopback";
import { patientDeps, type PatientDeps } from "./patient";
import { rawOf, refusal, socketServer, type Script, type SocketServer } from "./socket-server";

const key = "ns_live_secret-key";
const open: AsyncDisposable[] = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each[Symbol.asyncDispose]();
});
const keep = <T extends AsyncDisposable>(it: T): T => (open.push(it), it);

interface Asked {
  limits?: Partial<SocketLimits>;
  signal?: AbortSignal;
  deps?: PatientDeps;
}

const connect = async (url: string, { limits, signal, deps = patientDeps() }: Asked = {}): Promise<Socket> =>
  keep(
    await openSocket({
      url: new URL(url.replace("http", "ws") + "/v1/thing"),
      headers: { authorization: `Bearer ${key}` },
      call: { trying: `talk to ${url}`, machineId: "mch_1" },
      manners: nullspaceManners,
      redact: redactor([key]),
      deps,
      limits,
      signal,
    }),
  );

async function pair(
  script: Script = {},
  asked: Asked = {},
): Promise<{ socket: Socket; peer: WebSocket; server: SocketServer }> {
  let found = (_peer: WebSocket): void => undefined;
  const peer = new Promise<WebSocket>((resolve) => (found = resolve));
  const server = keep(
    await socketServer({
      ...script,
      socket: (ws, count, request) => (script.socket?.(ws, count, request), found(ws)),
    }),
  );
  return { socket: await connect(server.url, asked), peer: await peer, server };
}

async function all(socket: Socket): Promise<string[]> {
  const frames: string[] = [];
  for (;;) {
    const batch = await socket.read();
    if (batch === undefined) return frames;
    frames.push(...batch);
  }
}

const failureOf = async (work: Promise<unknown>): Promise<Error & { code?: string }> =>
  work.then(
    () => Promise.reject(new Error("it did not fail")),
    (error: Error) => error,
  );

describe("opening", () => {
  test("sends the key with the upgrade", async () => {
    const headers: unknown[] = [];
    await pair({ socket: (_ws, _count, request) => headers.push(request.headers.authorization) });
    expect(headers).toEqual([`Bearer ${key}`]);
  });

  test.each([500, 502, 503])("is tried three times when the answer is %d", async (status) => {
    const server = keep(
      await socketServer({ refuse: () => refusal(status, { error: "busy", code: "capacity_exceeded" }) }),
    );
    const deps = patientDeps();
    expect(await failureOf(connect(server.url, { deps }))).toMatchObject({
      status,
      code: "capacity_exceeded",
    });
    expect(server.upgrades).toHaveLength(3);
    expect(deps.waits).toEqual([250, 500]);
  });

  test.each([400, 401, 403, 404, 409, 429, 501])("is final at once when the answer is %d", async (status) => {
    const server = keep(
      await socketServer({ refuse: () => refusal(status, { error: "no", code: "some_code" }) }),
    );
    expect(await failureOf(connect(server.url))).toMatchObject({ status, code: "some_code" });
    expect(server.upgrades).toHaveLength(1);
  });

  test("goes on as soon as a try succeeds", async () => {
    const server = keep(
      await socketServer({ refuse: (count) => (count < 3 ? refusal(503, "") : undefined) }),
    );
    await connect(server.url);
    expect(server.upgrades).toHaveLength(3);
  });

  test("reads the vendor's envelope, the request id and the wait", async () => {
    const body = { error: { message: "no such machine", code: "machine_not_found", request_id: "r-7" } };
    const missing = keep(await socketServer({ refuse: () => refusal(404, body) }));
    const error = await failureOf(connect(missing.url));
    expect(error).toBeInstanceOf(NotFoundError);
    expect(error).toMatchObject({ requestId: "r-7", machineId: "mch_1" });
    const limit = { error: "too many", code: "rate_limit_exceeded" };
    const limited = keep(await socketServer({ refuse: () => refusal(429, limit, { "retry-after": "1.5" }) }));
    const refused = await failureOf(connect(limited.url));
    expect(refused).toBeInstanceOf(RateLimitError);
    expect(refused).toMatchObject({ retryAfterMs: 1_500 });
  });

  test("shows the key nowhere, also when the service echoes it", async () => {
    const server = keep(
      await socketServer({ refuse: () => refusal(401, { error: `bad ${key}`, code: "unauthorized" }) }),
    );
    const error = await failureOf(connect(server.url));
    expect(JSON.stringify([error.message, error.stack, error, error.cause])).not.toContain(key);
    expect(error.message).toContain("[redacted]");
  });

  test("that is answered with a page or a redirect says so", async () => {
    const page = keep(await socketServer({ refuse: () => refusal(200, "<html>") }));
    expect(await failureOf(connect(page.url))).toMatchObject({ code: "no_web_socket" });
    const moved = keep(
      await socketServer({ refuse: () => refusal(302, "", { location: "http://elsewhere/" }) }),
    );
    expect(await failureOf(connect(moved.url))).toMatchObject({ code: "redirect_refused" });
    const wrong =
      "HTTP/1.1 101 Go\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: x\r\n\r\n";
    const liar = keep(await socketServer({ refuse: () => wrong }));
    expect(await failureOf(connect(liar.url))).toMatchObject({ code: "no_web_socket" });
  });

  test("where nothing listens names the failure after three tries", async () => {
    const deps = patientDeps();
    const error = await failureOf(connect(`http://127.0.0.1:${String(await freePort())}`, { deps }));
    expect(error).toBeInstanceOf(ConnectionError);
    expect(error).toMatchObject({ code: "connection_refused", retryable: true });
    expect(deps.waits).toEqual([250, 500]);
  });

  test("gives up a server that accepts and says nothing", async () => {
    const server = keep(await socketServer({ refuse: () => "" }));
    const mute = keep(
      await socketServer({
        refuse: (_count, raw) => (raw.pause(), undefined),
        options: { verifyClient: (_info, _done) => undefined },
      }),
    );
    expect(await failureOf(connect(server.url))).toMatchObject({ code: "connection_lost" });
    const error = await failureOf(connect(mute.url, { limits: { openTimeoutMs: 30, maxRetries: 0 } }));
    expect(error).toMatchObject({ code: "connect_timeout" });
  });

  test("is given up by its signal, with its reason", async () => {
    const mute = keep(await socketServer({ options: { verifyClient: (_info, _done) => undefined } }));
    const controller = new AbortController();
    const opening = failureOf(connect(mute.url, { signal: controller.signal }));
    controller.abort(new Error("changed my mind"));
    expect(await opening).toMatchObject({ message: "changed my mind" });
    expect(
      await failureOf(connect(mute.url, { signal: AbortSignal.abort(new Error("too late")) })),
    ).toMatchObject({
      message: "too late",
    });
  });

  test("waits a quarter of a second, doubled up to two seconds, but never less than the service asks", () => {
    expect([0, 1, 2, 3, 4].map((failures) => openingDelay(failures, undefined, 0))).toEqual([
      250, 500, 1000, 2000, 2000,
    ]);
    expect(openingDelay(0, undefined, 0.999)).toBeLessThanOrEqual(313);
    expect(openingDelay(0, 3_000, 0)).toBe(3_000);
    expect(openingDelay(0, 600_000, 0)).toBe(250);
  });
});

describe("an open socket", () => {
  test("carries frames both ways, in order", async () => {
    const { socket, peer } = await pair();
    peer.on("message", (data: Buffer) => peer.send(`echo ${data.toString()}`));
    await socket.send("one");
    await socket.send("zwölf");
    const got: string[] = [];
    while (got.length < 2) got.push(...((await socket.read()) ?? []));
    expect(got).toEqual(["echo one", "echo zwölf"]);
  });

  test("gives what came before the close, then the close as an error", async () => {
    const { socket, peer } = await pair();
    peer.send("last words");
    peer.close(1011, "out of order");
    await once(peer, "close");
    expect(await socket.read()).toEqual(["last words"]);
    const error = await failureOf(socket.read());
    expect(error).toBeInstanceOf(ConnectionError);
    expect(error).toMatchObject({
      code: "socket_closed",
      retryable: true,
      details: { closeCode: "1011", closeReason: "out of order" },
    });
    expect(await failureOf(socket.send("x"))).toMatchObject({ code: "socket_closed" });
  });

  test("that is cut, between frames or within one, is a lost connection", async () => {
    const { socket, peer } = await pair();
    peer.send("whole", () => rawOf(peer).destroy());
    expect(await socket.read()).toEqual(["whole"]);
    expect(await failureOf(socket.read())).toMatchObject({ code: "connection_lost" });
    const within = await pair();
    rawOf(within.peer).write(Buffer.from([0x81, 0x05, 0x68]), () => rawOf(within.peer).destroy());
    expect(await failureOf(within.socket.read())).toMatchObject({ code: "connection_lost" });
  });

  test("refuses frames over the limit and frames against the protocol", async () => {
    const { socket, peer } = await pair({}, { limits: { maxFrameBytes: 1_000 } });
    peer.send("x".repeat(1_001));
    const large = await failureOf(socket.read());
    expect(large).toBeInstanceOf(ProtocolError);
    expect(large).toMatchObject({ code: "frame_too_large" });
    const odd = await pair();
    rawOf(odd.peer).write(Buffer.from([0x81, 0x02, 0xc3, 0x28]));
    expect(await failureOf(odd.socket.read())).toMatchObject({ code: "unreadable_frame" });
  });

  test("is ended by its signal, in the middle of a read, and the other side gets a close", async () => {
    const controller = new AbortController();
    const { socket, peer } = await pair({}, { signal: controller.signal });
    const reading = failureOf(socket.read());
    const closed = once(peer, "close");
    controller.abort(new Error("enough"));
    expect(await reading).toMatchObject({ message: "enough" });
    expect((await closed)[0]).toBe(1000);
    await socket.gone;
  });

  test("closes cleanly and reads no more", async () => {
    const { socket, peer } = await pair();
    const closed = once(peer, "close");
    const reading = all(socket);
    await socket.close();
    expect(await reading).toEqual([]);
    expect((await closed)[0]).toBe(1000);
    expect(await failureOf(socket.send("x"))).toMatchObject({ code: "client_closed" });
  });

  test("whose other side does not answer a close is cut", async () => {
    const { socket, peer } = await pair({}, { limits: { closeMs: 20 } });
    rawOf(peer).pause();
    await socket.close();
  });
});

describe("the watch", () => {
  test("ends a connection on which no pong comes", async () => {
    const { socket } = await pair({ options: { autoPong: false } }, { limits: { pingMs: 10, pongMs: 20 } });
    const error = await failureOf(socket.read());
    expect(error).toBeInstanceOf(ConnectionError);
    expect(error).toMatchObject({ code: "socket_silent", retryable: true });
    await socket.gone;
  });

  test("keeps a quiet connection whose pongs come", async () => {
    const { socket, peer } = await pair({}, { limits: { pingMs: 5, pongMs: 5_000 } });
    let pings = 0;
    await new Promise<void>((resolve) => peer.on("ping", () => ++pings === 5 && resolve()));
    peer.send("still here");
    expect(await socket.read()).toEqual(["still here"]);
  });

  test("answers the service's pings", async () => {
    const { peer } = await pair();
    const pong = once(peer, "pong");
    peer.ping("abc");
    expect(String((await pong)[0])).toBe("abc");
  });

  test("does not take a slow reader for a dead connection, and holds little for it", async () => {
    const { socket, peer } = await pair({}, { limits: { pingMs: 5, pongMs: 10, queueBytes: 10_000 } });
    const frame = "x".repeat(1_000);
    const total = 20_000;
    let sent = 0;
    const pump = (): void => {
      while (sent < total && peer.bufferedAmount < 100_000) {
        sent++;
        peer.send(frame, sent % 50 === 0 ? pump : undefined);
      }
    };
    pump();
    const first = (await socket.read())!;
    await new Promise((resolve) => setTimeout(resolve, 100)); // Many watches long.
    expect(sent).toBeLessThan(total);
    let got = first.length;
    let most = 0;
    while (got < total) {
      const batch = (await socket.read())!;
      got += batch.length;
      most = Math.max(most, batch.length);
    }
    expect(got).toBe(total);
    expect(most).toBeLessThan(100); // The limit, and what one read of the connection brought with it.
  });
});
