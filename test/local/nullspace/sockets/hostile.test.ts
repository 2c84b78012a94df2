/** Whatever comes over a socket, or instead of one: an error or a proper close, bounded memory, never a crash. */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { maxFrameBytes } from "@pulumi-machines/sdk/nullspace/frames";
import type { Local } from "../../../../local/src/start-local";
import { statePaths } from "../../../../local/src/state-folder";
import { Api, eventually, startTestLocal } from "../control-plane";
import { opcodes, type RawFrame, RawSocket, upgradeText } from "./raw-socket";
import { type Frame, keyOf, refusal, TestSocket, upgrade } from "./socket-client";

let local: Local;
let api: Api;
let id: string;
beforeAll(async () => {
  local = await startTestLocal({ maxSockets: 200 });
  api = new Api(local);
  id = await api.machine();
});
afterAll(() => local.close());

const paths = (): string[] => [
  ...["", "?channel=exec", "?channel=pty"].map((query) => `/v1/machines/${id}/ws${query}`),
  `/v1/machines/${id}/lifecycle/ws`,
  "/v1/lifecycle/ws",
  "/v1/monitor/ws",
];

/** What each kind of socket answers at once. */
const good: [type: string, frame: Frame][] = [
  ["/lifecycle/ws", { type: "subscribe", live_only: true }],
  ["/monitor/ws", { type: "monitor_subscribe", id: "m", interval_ms: 3_600_000 }],
  ["", { type: "exec_kill", id: "k", pid: 987_654_321 }],
];
const goodFor = (path: string): Frame =>
  path.includes("channel=pty")
    ? { type: "pty_kill", id: "k", session_id: "none" }
    : (good.find(([end]) => path.endsWith(end) || end === "")?.[1] ?? {});

async function stillServes(): Promise<void> {
  expect(await refusal(local, "/v1/lifecycle/ws")).toEqual([101]);
}

describe("a frame", () => {
  it("of 1 MiB is read; one byte more closes the socket with 1009", async () => {
    for (const path of paths()) {
      await using socket = await TestSocket.open(local, path);
      const told = await socket.ask(JSON.stringify("x".repeat(maxFrameBytes - 2)));
      expect(told["message"]).toContain("one JSON object");
      socket.send(JSON.stringify("x".repeat(maxFrameBytes - 1)));
      expect(await socket.closed).toMatchObject({ code: 1009 });
    }
  });

  it.each<[string, string | Buffer]>([
    ["that is no JSON", "{"],
    ["that is empty", ""],
    ["that is a JSON list", "[1]"],
    ["that is null", "null"],
    ["that is binary", Buffer.from('{"type":"subscribe"}')],
  ])("%s is an error, and the socket goes on", async (_name, text) => {
    for (const path of paths()) {
      await using socket = await TestSocket.open(local, path);
      socket.send(text);
      const told = await socket.next();
      const type = path.startsWith("/v1/monitor") ? "monitor_error" : "error";
      expect(told).toMatchObject({ type, code: "invalid_request" });
      expect(told?.["message"]).toContain("must be text: one JSON object");
      expect(await socket.ask(goodFor(path))).toBeTruthy();
    }
  });

  it("of an unknown type is an error that says which there are", async () => {
    for (const path of paths()) {
      await using socket = await TestSocket.open(local, path);
      for (const type of ["ping", "__proto__", "constructor", "", 7, null, undefined, {}]) {
        const told = await socket.ask({ type, id: "t" });
        expect(told).toMatchObject({ id: "t", code: "invalid_request" });
        expect(told["message"]).toContain("frame.type: must be one of ");
      }
      expect(await socket.ask(goodFor(path))).toBeTruthy();
    }
  });

  it("that is bad, sixteen times over, closes the socket with 1008", async () => {
    for (const path of paths()) {
      await using socket = await TestSocket.open(local, path);
      for (let n = 0; n < 40; n++) socket.send(n % 2 === 0 ? "?" : '{"type":"?"}');
      expect(await socket.closed).toMatchObject({ code: 1008 });
      expect(socket.seen).toHaveLength(16);
    }
  });

  it.each<[string, number, RawFrame[]]>([
    ["without a mask", 1002, [{ opcode: opcodes.text, payload: "{}", masked: false }]],
    ["with reserved bits", 1002, [{ opcode: opcodes.text, payload: "{}", rsv: 2 }]],
    ["compressed, which was not agreed on", 1002, [{ opcode: opcodes.text, payload: "{}", rsv: 4 }]],
    ["with a reserved opcode", 1002, [{ opcode: 3, payload: "{}" }]],
    ["that continues nothing", 1002, [{ opcode: opcodes.continuation, payload: "{}" }]],
    ["that is a ping of 200 bytes", 1002, [{ opcode: opcodes.ping, payload: "x".repeat(200) }]],
    ["that is half a ping", 1002, [{ opcode: opcodes.ping, fin: false }]],
    ["that closes with a code that is none", 1002, [{ opcode: opcodes.close, payload: "\0\x01" }]],
    ["whose text is not UTF-8", 1007, [{ opcode: opcodes.text, payload: Buffer.from([0xff, 0xfe]) }]],
    [
      "over 1 MiB in parts",
      1009,
      [
        { opcode: opcodes.text, payload: "x".repeat(60_000), fin: false },
        ...Array<RawFrame>(20).fill({
          ...{ opcode: opcodes.continuation, payload: "x".repeat(60_000), fin: false },
        }),
      ],
    ],
    [
      "in thousands of empty parts",
      1008,
      [
        { opcode: opcodes.text, fin: false },
        ...Array<RawFrame>(5_000).fill({ opcode: opcodes.continuation, fin: false }),
      ],
    ],
  ])("%s closes the socket with %i", async (_name, code, frames) => {
    const raw = await RawSocket.open(local, "/v1/lifecycle/ws");
    for (const frame of frames) raw.send(frame);
    expect(await raw.closeCode()).toBe(code);
    await stillServes();
  });

  it("that announces a terabyte closes the socket before any of it came", async () => {
    const raw = await RawSocket.open(local, "/v1/lifecycle/ws");
    raw.socket.write(Buffer.from([0x81, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
    expect(await raw.closeCode()).toBe(1009);
  });

  it("in parts, with pings between them, is one frame", async () => {
    const raw = await RawSocket.open(local, "/v1/lifecycle/ws");
    raw.send({ opcode: opcodes.text, payload: '{"type":"subsc', fin: false });
    raw.send({ opcode: opcodes.ping, payload: "?" });
    raw.send({ opcode: opcodes.continuation, payload: 'ribe"}' });
    await raw.until('{"type":"subscribed"');
    raw.send({ opcode: opcodes.close, payload: Buffer.from([3, 232]) });
    expect(await raw.closeCode()).toBe(1000);
  });
});

describe("a connection", () => {
  it("on which an upgrade is begun and never ended holds neither others nor the end", async () => {
    const other = await startTestLocal();
    const text = upgradeText(other, "/v1/lifecycle/ws");
    const half = await Promise.all(
      [0, 10, 60, text.length - 1].map(async (length) => {
        const raw = await RawSocket.connect(other);
        raw.socket.write(text.slice(0, length));
        return raw;
      }),
    );
    expect(await refusal(other, "/v1/lifecycle/ws")).toEqual([101]);
    await other.close();
    for (const raw of half) await raw.ended;
  });

  it("that ends one way, or is reset, is closed both ways, and its place is free", async () => {
    await using other = await startTestLocal({ maxSockets: 1 });
    for (const leave of [
      (raw: RawSocket) => raw.socket.end(),
      (raw: RawSocket) => raw.socket.resetAndDestroy(),
      (raw: RawSocket) => raw.socket.destroy(),
      // In the middle of a frame.
      (raw: RawSocket) => raw.socket.end(Buffer.from([0x81, 0xfe, 0x10])),
    ]) {
      const raw = await RawSocket.open(other, "/v1/lifecycle/ws");
      leave(raw);
      await raw.ended;
      await eventually(
        "its place is free",
        async () => (await refusal(other, "/v1/lifecycle/ws"))[0] === 101,
      );
    }
  });

  it("with frames right behind its handshake loses none", async () => {
    const raw = await RawSocket.connect(local);
    const frame = Buffer.concat([
      Buffer.from([0x81, 0x80 | 20, 0, 0, 0, 0]),
      Buffer.from('{"type":"subscribe"}'),
    ]);
    raw.socket.write(Buffer.concat([Buffer.from(upgradeText(local, "/v1/lifecycle/ws")), frame]));
    await raw.until('{"type":"subscribed"');
    raw.socket.destroy();
  });
});

describe("the limit of open sockets", () => {
  it("holds when many ask at once", async () => {
    await using other = await startTestLocal({ maxSockets: 5 });
    const machine = await new Api(other).machine();
    const asked = await Promise.all(
      Array.from({ length: 40 }, (_, n) =>
        upgrade(other, n % 2 === 0 ? "/v1/lifecycle/ws" : `/v1/machines/${machine}/ws`, {
          headers: keyOf(other),
        }),
      ),
    );
    const open = asked.filter((answer) => answer instanceof TestSocket);
    expect(open).toHaveLength(5);
    for (const answer of asked) if (!(answer instanceof TestSocket)) expect(answer.status).toBe(429);
    for (const socket of open) await socket[Symbol.asyncDispose]();
  });
});

describe("heartbeats", () => {
  it("cut a client that does not answer two of them, and nobody else", async () => {
    await using other = await startTestLocal({ pingMs: 60 });
    await using answering = await TestSocket.open(other, "/v1/lifecycle/ws");
    const silent = await RawSocket.open(other, "/v1/lifecycle/ws");
    expect(await silent.closeCode()).toBeUndefined();
    expect(silent.pings).toBe(2);
    // It sends no pong, but it sends.
    const busy = await TestSocket.open(other, "/v1/lifecycle/ws", { autoPong: false });
    while (busy.pings < 6) {
      await once(busy.ws, "ping");
      busy.send({ type: "subscribe", live_only: true });
    }
    busy.cut();
    expect(answering.pings).toBeGreaterThan(4);
    expect(await answering.ask({ type: "subscribe" })).toMatchObject({ type: "subscribed" });
  });
});

/** Waits until a number that grows does not any more. */
async function steady(what: string, read: () => number): Promise<void> {
  const from = performance.now();
  let last = 0;
  for (let since = from; last === 0 || performance.now() - since < 300; await sleep(20)) {
    if (performance.now() - from > 20_000) throw new Error(`did not happen within 20 s: ${what}`);
    if (read() !== last) since = performance.now();
    last = read();
  }
}

describe("a client that does not read", () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const usedMB = (): number => {
    collect();
    collect();
    const { heapUsed, external } = process.memoryUsage();
    return (heapUsed + external) / 1e6;
  };

  it("costs little memory, however much it asks for, and gets all of it when it reads", async () => {
    await using other = await startTestLocal();
    const its = new Api(other);
    // The log is then ten megabytes: each of its events repeats the metadata.
    const metadata = { notes: "n".repeat(60_000) };
    const machines = 42;
    for (let n = 0; n < machines; n++) {
      await its.ask("DELETE", `/v1/machines/${await its.machine({ metadata })}`);
    }
    const { lifecycle } = other.controlPlane;
    const follow = lifecycle.follow.bind(lifecycle);
    let told = 0;
    lifecycle.follow = (options, listener) =>
      follow(options, (events) => {
        told += events.length;
        return listener(events);
      });
    const before = usedMB();
    const sockets = await Promise.all(
      Array.from({ length: 10 }, () => TestSocket.open(other, "/v1/lifecycle/ws")),
    );
    for (const socket of sockets) {
      socket.ws.pause();
      socket.send({ type: "subscribe", replay_limit: 1_000 });
    }
    await its.machine();
    // Each is full when it waits for room: nothing more is asked of the log.
    await steady("all are full", () => told);
    expect(usedMB() - before).toBeLessThan(20);
    for (const socket of sockets.splice(2)) socket.cut();
    for (const socket of sockets) {
      socket.ws.resume();
      const events = (await socket.until(({ event }) => isLast(event))).slice(1);
      expect(events).toHaveLength(4 * machines + 2);
      socket.cut();
    }
  });

  it("is not listened to either: its frames wait in its own system", async () => {
    const { processes } = local.controlPlane;
    const kill = processes.kill.bind(processes);
    let killed = 0;
    let atOnce = 0;
    let most = 0;
    processes.kill = async (...asked) => {
      killed++;
      most = Math.max(most, ++atOnce);
      try {
        await kill(...asked);
      } finally {
        atOnce--;
      }
    };
    await using socket = await TestSocket.open(local, `/v1/machines/${id}/ws`);
    socket.ws.pause();
    const many = 40_000;
    const text = JSON.stringify({ type: "exec_kill", id: "k".repeat(200), pid: 987_654_321 });
    for (let n = 0; n < many; n++) socket.send(text);
    await steady("it is not listened to", () => killed);
    // The system holds 4 MiB of answers for us, of 0.3 kB each.
    expect(killed).toBeLessThan(many / 2);
    // What is begun is 64, and what came with those in one read.
    expect(most).toBeLessThanOrEqual(64 + 65_536 / text.length);
    socket.ws.resume();
    while (socket.seen.length < many) await once(socket.ws, "message");
    expect(killed).toBe(many);
    for (const frame of socket.seen) expect(frame["code"]).toBe("not_found");
    processes.kill = kill;
  });
});

/** The only event without metadata of its own. */
const isLast = (event: unknown): boolean => {
  const { operation, status, metadata } = (event ?? {}) as Frame;
  return operation === "create" && status === "succeeded" && JSON.stringify(metadata) === "{}";
};

describe("anything at all", () => {
  const word = fc.string({ unit: "binary", maxLength: 30 });
  const anyJson = fc.jsonValue({ depthSize: "small" });
  const types = fc.constantFrom(
    ...["exec_start", "exec_connect", "exec_stdin", "exec_stdin_close", "exec_kill"],
    ...["pty_start", "pty_connect", "pty_input", "pty_resize", "pty_kill", "file_watch"],
    ...["subscribe", "monitor_subscribe", "monitor_unsubscribe"],
  );
  const or = <T>(arbitrary: fc.Arbitrary<T>) =>
    fc.oneof({ weight: 4, arbitrary }, { weight: 1, arbitrary: anyJson });
  const frame = fc.record(
    {
      type: or(types),
      id: or(fc.constantFrom("a", "b")),
      pid: or(fc.integer()),
      session_id: or(word),
      command: or(word),
      args: or(fc.array(word, { maxLength: 2 })),
      cwd: or(word),
      envs: or(fc.dictionary(word, word)),
      shell: or(fc.boolean()),
      timeout_secs: or(fc.integer()),
      stdout_offset: or(fc.integer()),
      data: or(word),
      data_base64: or(word),
      cols: or(fc.integer()),
      path: or(word),
      user: or(word),
      recursive: or(fc.boolean()),
      machine_id: or(word),
      snapshot_id: or(word),
      operation: or(fc.constantFrom("create", "x")),
      after_event_id: or(fc.uuid()),
      live_only: or(fc.boolean()),
      replay_limit: or(fc.integer()),
      metadata: or(fc.dictionary(word, anyJson)),
      interval_ms: or(fc.integer()),
      include_processes: or(fc.boolean()),
    },
    { requiredKeys: ["type"] },
  );

  it("as frames is answered with frames of the contract", async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(paths().length - 1), fc.array(frame, { maxLength: 12 }), async (at, frames) => {
        const path = paths()[at] ?? "";
        // Each answer is checked where it is read.
        await using socket = await TestSocket.open(local, path);
        for (const each of frames) socket.send(each);
        await socket.ask(goodFor(path));
        for (const told of socket.seen) expect(told["code"]).not.toBe("internal_error");
      }),
      { numRuns: 150 },
    );
  });

  it("as bytes closes the socket at worst", async () => {
    const bytes = fc.uint8Array({ maxLength: 300 });
    const valid = frame.map((each) => JSON.stringify(each).slice(0, 4_000));
    await fc.assert(
      fc.asyncProperty(
        fc.nat(paths().length - 1),
        fc.array(
          fc.oneof(
            bytes.map((part) => Buffer.from(part)),
            fc
              .record({
                opcode: fc.nat(15),
                payload: fc.oneof(valid, word),
                fin: fc.boolean(),
                rsv: fc.constantFrom(0, 0, 0, 1),
              })
              .map((each): RawFrame => each),
          ),
          { maxLength: 6 },
        ),
        async (at, parts) => {
          const raw = await RawSocket.open(local, paths()[at] ?? "");
          for (const part of parts) {
            if (Buffer.isBuffer(part)) raw.socket.write(part);
            else raw.send(part);
          }
          raw.socket.end();
          await raw.ended;
        },
      ),
      { numRuns: 150 },
    );
    await stillServes();
  });

  it("as an upgrade is answered or cut, and never with an error of ours", async () => {
    const header = fc.tuple(
      fc.constantFrom(
        ...["upgrade", "connection", "sec-websocket-key", "sec-websocket-version", "authorization"],
        ...["sec-websocket-protocol", "sec-websocket-extensions", "content-length", "host", "origin"],
      ),
      fc.oneof(
        fc.constantFrom("websocket", "upgrade", "13", "dGhlIHNhbXBsZSBub25jZQ==", "permessage-deflate", "5"),
        fc.string({ maxLength: 20 }).map((text) => text.replaceAll(/[\r\n]/g, "")),
      ),
    );
    const path = fc.oneof(
      fc.constantFrom(...paths()),
      fc.webPath().map((text) => `/v1${text}`),
      fc.string({ maxLength: 40 }).map((text) => `/v1/${text.replaceAll(/\s/g, "")}`),
    );
    await fc.assert(
      fc.asyncProperty(path, fc.array(header, { maxLength: 4 }), async (to, headers) => {
        const raw = await RawSocket.connect(local);
        const [line = "", ...rest] = upgradeText(local, to).trimEnd().split("\r\n");
        const kept = rest.filter((text) => !headers.some(([name]) => text.startsWith(`${name}:`)));
        const given = headers.map(([name, value]) => `${name}: ${value}`);
        raw.socket.write([line, ...kept, ...given, "", ""].join("\r\n"));
        raw.socket.end();
        await raw.ended;
        const answer = raw.text;
        if (answer !== "") expect(answer).toMatch(/^HTTP\/1\.1 (101|[24]\d\d|501) /);
        expect(answer).not.toContain(local.apiKey);
      }),
      { numRuns: 150 },
    );
    await stillServes();
  });
});

it("and nothing of all this was unexpected: the log of this run holds no error", () => {
  const log = readFileSync(statePaths(local.stateDir).log, "utf8");
  expect(log.split("\n").filter((line) => line.includes('"level":50'))).toEqual([]);
  expect(log).not.toContain(local.apiKey);
});
