import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { DedalusClient, type DedalusClientOptions } from "../../sdk/src/dedalus/client";
import type { WatchOptions } from "../../sdk/src/dedalus/watch";
import { AnswerError, ConnectionError, DeadlineError, NotFoundError } from "../../sdk/src/errors";
import { freePort, httpServer, rawServer, sendJson, type Answer, type Loopback } from "./loopback";
import { machineId, wireEvent, wireMachine, type View } from "./machine-wire";
import { patientDeps } from "./patient";

const open: AsyncDisposable[] = [];
afterEach(async () => {
  for (const each of open.splice(0)) await each[Symbol.asyncDispose]();
});
const keep = <T extends AsyncDisposable>(it: T): T => (open.push(it), it);

function clientOf(url: string, options: DedalusClientOptions = {}) {
  const deps = patientDeps();
  const client = keep(
    new DedalusClient({ baseUrl: url, apiKey: "k", deps, streamSilenceMs: 10_000, ...options }),
  );
  return { client, deps };
}

async function revisions(client: DedalusClient, options?: WatchOptions): Promise<string[]> {
  const seen: string[] = [];
  for await (const machine of client.machines.watch(machineId, options)) {
    seen.push(machine.status.revision ?? machine.status.phase);
  }
  return seen;
}

const start: View[] = [
  { phase: "accepted", revision: "41" },
  { phase: "starting", revision: "42" },
  { phase: "running", revision: "43" },
];
/** A replay whose first view is settled, though the machine has moved on since. */
const goToSleep: View[] = [
  { phase: "running", revision: "7" },
  { phase: "running", desired: "sleeping", revision: "8" },
  { phase: "stopping", desired: "sleeping", revision: "9" },
  { phase: "sleeping", desired: "sleeping", revision: "10" },
];
const all = (views: View[]): string[] => views.map((view) => view.revision);

const streamHead = (response: ServerResponse): void => {
  response.writeHead(200, { "content-type": "text/event-stream", "x-request-id": "req-s" });
  response.flushHeaders();
};
const isStream = (url: string): boolean => url.endsWith("/status/stream");

/** A service that keeps its promise: it resumes after Last-Event-ID, and a GET tells the newest view. */
const faithful =
  (views: View[], stream: (response: ServerResponse, rest: View[], count: number) => void): Answer =>
  (response, request, count) => {
    const newest = views.at(-1);
    if (!isStream(request.url)) return sendJson(response, 200, newest && wireMachine(newest));
    streamHead(response);
    const at = views.findIndex((view) => view.revision === request.headers["last-event-id"]);
    stream(response, views.slice(at + 1), count);
  };

describe("a healthy stream", () => {
  test("is followed to its end: one request, views in order, and the machine's fields", async () => {
    const server = keep(
      await httpServer(
        faithful(start, (response, rest) => response.end(rest.map((v) => wireEvent(v)).join(""))),
      ),
    );
    const { client } = clientOf(server.url);
    const seen = [];
    for await (const machine of client.machines.watch(machineId)) seen.push(machine);
    expect(seen.map((machine) => machine.status.phase)).toEqual(["accepted", "starting", "running"]);
    expect(seen[2]).toMatchObject({ machineId, desiredState: "running", requestId: "req-s" });
    expect(server.seen).toHaveLength(1);
    expect(server.seen[0]?.headers).toMatchObject({ accept: "text/event-stream" });
    expect(server.seen[0]?.headers).not.toHaveProperty("last-event-id");
  });

  test("tells each view as it comes, not when the connection ends", async () => {
    let finish = (): void => undefined;
    const server = keep(
      await httpServer(
        faithful(start, (response) => {
          response.write(wireEvent(start[0]!));
          finish = () => void response.end(wireEvent(start[2]!));
        }),
      ),
    );
    const { client } = clientOf(server.url);
    const views = client.machines.watch(machineId);
    expect((await views.next()).value).toMatchObject({ status: { revision: "41" } });
    finish();
    expect((await views.next()).value).toMatchObject({ status: { revision: "43" } });
    expect((await views.next()).done).toBe(true);
  });

  test("skips bookmarks, unnamed events and names that this version does not know", async () => {
    const extra =
      'event: bookmark\nid: 41b\ndata: {}\n\ndata: {"phase":"x"}\n\nevent: surprise\ndata: ?\n\n: beat\n\n';
    const server = keep(
      await httpServer((response, _request, count) => {
        streamHead(response);
        if (count === 1) response.write(wireEvent(start[0]!) + extra, () => response.destroy());
        else response.end(wireEvent(start[2]!));
      }),
    );
    expect(await revisions(clientOf(server.url).client)).toEqual(["41", "43"]);
    expect(server.seen[1]?.headers["last-event-id"]).toBe("41b");
  });

  test("of a phase that this version does not know goes on", async () => {
    const views = [{ phase: "defrosting", revision: "1" }, start[2]!];
    const server = keep(
      await httpServer(
        faithful(views, (response, rest) => response.end(rest.map((v) => wireEvent(v)).join(""))),
      ),
    );
    expect(await revisions(clientOf(server.url).client)).toEqual(["1", "43"]);
  });

  test.each(["failed", "destroyed"])("ends when the machine is %s", async (phase) => {
    const views = [start[0]!, { phase, revision: "50" }];
    const server = keep(
      await httpServer(
        faithful(views, (response, rest) => response.end(rest.map((v) => wireEvent(v)).join(""))),
      ),
    );
    expect(await revisions(clientOf(server.url).client)).toEqual(["41", "50"]);
    expect(server.seen).toHaveLength(1);
  });

  test("that the service leaves open after the last view is ended here, after a short grace", async () => {
    const server = keep(
      await httpServer(
        faithful(start, (response, rest) => void response.write(rest.map((v) => wireEvent(v)).join(""))),
      ),
    );
    expect(await revisions(clientOf(server.url, { streamSilenceMs: 40 }).client)).toEqual(all(start));
    expect(server.seen).toHaveLength(1);
  });

  test("that the service leaves open with heartbeats is ended here too", async () => {
    const beats: NodeJS.Timeout[] = [];
    const server = keep(
      await httpServer(
        faithful(start, (response, rest) => {
          response.write(rest.map((v) => wireEvent(v)).join(""));
          beats.push(setInterval(() => response.write(": beat\n\n"), 10));
        }),
      ),
    );
    expect(await revisions(clientOf(server.url, { streamSilenceMs: 60 }).client)).toEqual(all(start));
    beats.forEach(clearInterval);
  });

  test("with `after` brings only what comes after that revision, and nothing when there is nothing", async () => {
    const server = keep(
      await httpServer(
        faithful(start, (response, rest) => response.end(rest.map((v) => wireEvent(v)).join(""))),
      ),
    );
    const { client } = clientOf(server.url);
    expect(await revisions(client, { after: "41" })).toEqual(["42", "43"]);
    expect(server.seen[0]?.headers["last-event-id"]).toBe("41");
    expect(await revisions(client, { after: "43" })).toEqual([]);
  });
});

describe.each([
  ["a start", start],
  ["a sleep that begins with a settled view", goToSleep],
])("%s, cut at every byte", (_name, views) => {
  const rawHead = (close: boolean): string =>
    `HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n${close ? "connection: close\r\n" : ""}transfer-encoding: chunked\r\n\r\n`;
  const chunk = (text: string): string => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;

  /** The first stream is cut after `cut` bytes; the later ones are whole. */
  const cutting = async (cut: number, newline: string, end: (socket: Socket) => void, resumes: boolean) => {
    let streams = 0;
    return keep(
      await rawServer((socket, head) => {
        if (!isStream(head.split(" ")[1] ?? "")) {
          const body = JSON.stringify(wireMachine(views.at(-1)!));
          return void socket.write(
            `HTTP/1.1 200 OK\r\ncontent-length: ${String(body.length)}\r\n\r\n${body}`,
          );
        }
        const last = /last-event-id: (\S+)/i.exec(head)?.[1];
        const at = resumes ? views.findIndex((view) => view.revision === last) : -1;
        const text = views
          .slice(at + 1)
          .map(wireEvent)
          .join("")
          .replaceAll("\n", newline);
        if (++streams > 1) return void socket.write(rawHead(false) + (text ? chunk(text) : "") + "0\r\n\r\n");
        const piece = text.slice(0, cut);
        socket.write(rawHead(end === closeSoftly) + (piece ? chunk(piece) : ""), () => end(socket));
      }),
    );
  };
  const reset = (socket: Socket): void => void socket.resetAndDestroy();
  const closeSoftly = (socket: Socket): void => void socket.end("0\r\n\r\n");

  const length = views.map(wireEvent).join("").length;
  const frames = views.map(
    (_view, index) =>
      views
        .slice(0, index + 1)
        .map(wireEvent)
        .join("").length,
  );
  const everyByte = Array.from({ length: length + 1 }, (_unused, at) => at);
  const aroundFrames = [0, 1, ...frames.flatMap((at) => [at - 2, at - 1, at, at + 1])];

  test.each([
    ["reset, \\n", everyByte, "\n", reset, true],
    ["reset, \\r\\n", aroundFrames, "\r\n", reset, true],
    ["reset, by a service that replays everything", aroundFrames, "\n", reset, false],
    ["ended as if it were whole", aroundFrames, "\n", closeSoftly, true],
  ] as const)("%s: no revision is lost or repeated", async (_how, cuts, newline, end, resumes) => {
    for (let from = 0; from < cuts.length; from += 24) {
      await Promise.all(
        cuts.slice(from, from + 24).map(async (cut) => {
          const server = await cutting(cut, newline, end, resumes);
          const { client } = clientOf(server.url);
          expect([cut, await revisions(client)]).toEqual([cut, all(views)]);
          await client.close();
          await server.close();
        }),
      );
    }
  });
});

describe("a stream that drops", () => {
  test("again and again backs off, and starts anew after progress", async () => {
    const server = keep(
      await httpServer((response, _request, count) => {
        if (count > 1 && count < 6) return void response.destroy();
        streamHead(response);
        const view = wireEvent(start[Math.max(0, count - 5)]!);
        response.write(view, () => (count < 7 ? response.destroy() : response.end()));
      }),
    );
    const { client, deps } = clientOf(server.url);
    expect(await revisions(client)).toEqual(all(start));
    expect(deps.waits).toEqual([0, 375, 750, 1_500, 3_000, 0]);
    expect(deps.lines).toHaveLength(6);
  });

  test("because the service restarts is followed on the new one, which sends the current view again", async () => {
    const first = await httpServer(
      faithful(start, (response) => void response.write(wireEvent(start[0]!), () => response.destroy())),
    );
    const port = Number(new URL(first.url).port);
    const { client } = clientOf(first.url);
    const views = client.machines.watch(machineId);
    expect((await views.next()).value).toMatchObject({ status: { revision: "41" } });
    await first.close();
    const rest = (async () => {
      const seen: unknown[] = [];
      for await (const machine of views) seen.push(machine.status.revision);
      return seen;
    })();
    const second = await reopen(port, (response, request) => {
      if (!isStream(request.url)) return sendJson(response, 200, wireMachine(start[2]!));
      streamHead(response);
      response.end(start.map((v) => wireEvent(v)).join(""));
    });
    expect(await rest).toEqual(["42", "43"]);
    await second.close();
  });

  test("and does not bring what a GET shows still ends, with that view", async () => {
    const server = keep(
      await httpServer((response, request) => {
        if (!isStream(request.url)) return sendJson(response, 200, wireMachine(start[2]!));
        streamHead(response);
        response.end(": nothing\n\n");
      }),
    );
    expect(await revisions(clientOf(server.url).client)).toEqual(["43"]);
  });

  test("by silence is checked with one GET and opened anew", async () => {
    const server = keep(
      await httpServer(
        faithful(start, (response, rest, count) => {
          response.write(wireEvent(rest[0]!));
          if (count > 1)
            response.end(
              rest
                .slice(1)
                .map((v) => wireEvent(v))
                .join(""),
            );
        }),
      ),
    );
    const { client } = clientOf(server.url, { streamSilenceMs: 40 });
    expect(await revisions(client)).toEqual(all(start));
    expect(server.seen.every((request) => isStream(request.url) || request.method === "GET")).toBe(true);
    expect(server.seen.at(-1)?.headers["last-event-id"]).toBe("41");
  });

  test("before the first contact is not waited for for ever", async () => {
    const { client, deps } = clientOf(`http://127.0.0.1:${String(await freePort())}`);
    await expect(revisions(client)).rejects.toBeInstanceOf(ConnectionError);
    expect(deps.waits).toHaveLength(2);
  });
});

describe("a stream that refuses", () => {
  const streams = (answer: (response: ServerResponse, count: number) => void): Answer => {
    let count = 0;
    return (response, request) => {
      if (isStream(request.url)) answer(response, ++count);
      else sendJson(response, 200, wireMachine(start[0]!));
    };
  };

  test.each([401, 403])("with %i is an error at once", async (status) => {
    const body = { error_code: "AUTH_INVALID", message: "invalid key", retryable: true };
    const server = keep(await httpServer(streams((response) => sendJson(response, status, body))));
    const failure = revisions(clientOf(server.url).client);
    await expect(failure).rejects.toBeInstanceOf(AnswerError);
    await expect(failure).rejects.toMatchObject({ code: "AUTH_INVALID", status });
    expect(server.seen).toHaveLength(1);
  });

  test("with 429 is asked again when the service says", async () => {
    const body = { error_code: "RATE_LIMITED", message: "m", retryable: true, retry_after_ms: 1_234 };
    const server = keep(
      await httpServer(
        streams((response, count) => {
          if (count === 1) return sendJson(response, 429, body);
          streamHead(response);
          response.end(wireEvent(start[2]!));
        }),
      ),
    );
    const { client, deps } = clientOf(server.url);
    expect(await revisions(client)).toEqual(["43"]);
    expect(deps.waits).toEqual([1_234]);
  });

  test("by a retryable error event is opened anew; by another one it is over", async () => {
    const errorEvent = (retryable: boolean) =>
      `event: error\ndata: ${JSON.stringify({ error_code: "DEPENDENCY_UNAVAILABLE", message: "runtime gone", retryable })}\n\n`;
    const server = keep(
      await httpServer(
        streams((response, count) => {
          streamHead(response);
          response.end(wireEvent(start[count - 1]!) + errorEvent(count === 1));
        }),
      ),
    );
    const seen: unknown[] = [];
    const failure = (async () => {
      for await (const machine of clientOf(server.url).client.machines.watch(machineId)) {
        seen.push(machine.status.revision);
      }
    })();
    await expect(failure).rejects.toMatchObject({
      code: "DEPENDENCY_UNAVAILABLE",
      retryable: false,
      machineId,
    });
    expect(seen).toEqual(["41", "42"]);
  });

  test("by an event that is not what the API documents is an error that keeps the event", async () => {
    const server = keep(
      await httpServer(
        streams((response) => {
          streamHead(response);
          response.end("event: status\ndata: {}\n\n");
        }),
      ),
    );
    await expect(revisions(clientOf(server.url).client)).rejects.toMatchObject({
      code: "unreadable_event",
      rawBody: "{}",
    });
  });

  test("because the machine is unknown is a not-found error", async () => {
    const server = keep(
      await httpServer((response) => sendJson(response, 404, { title: "Not Found", status: 404 })),
    );
    await expect(revisions(clientOf(server.url).client)).rejects.toBeInstanceOf(NotFoundError);
  });
});

describe("a service without a status stream", () => {
  const flat = (phase: string) => ({
    machine_id: machineId,
    vcpu: 1,
    memory_mib: 512,
    storage_gib: 4,
    desired_state: "running",
    phase,
  });

  test.each<[string, (response: ServerResponse) => void]>([
    ["404", (response) => sendJson(response, 404, { title: "Not Found" })],
    ["405", (response) => sendJson(response, 405, { title: "Method Not Allowed" })],
    ["501", (response) => sendJson(response, 501, { title: "Not Implemented" })],
    ["a web page", (response) => response.writeHead(200, { "content-type": "text/html" }).end("<html>")],
  ])("(%s) is read every two seconds; without revisions whole views are compared", async (_name, refuse) => {
    const answers = ["accepted", "accepted", "starting", "starting", "running"].map(flat);
    let reads = 0;
    const server = keep(
      await httpServer((response, request) => {
        if (isStream(request.url)) return refuse(response);
        sendJson(response, 200, answers[reads++]);
      }),
    );
    const { client, deps } = clientOf(server.url);
    expect(await revisions(client)).toEqual(["accepted", "starting", "running"]);
    expect(deps.waits).toEqual([1_800, 1_800, 1_800, 1_800]);
  });

  test("that fails for a while is read on", async () => {
    let reads = 0;
    const server = keep(
      await httpServer((response, request) => {
        if (isStream(request.url)) return sendJson(response, 404, {});
        if (++reads > 1 && reads < 6) return sendJson(response, 503, {});
        sendJson(response, 200, flat(reads > 1 ? "running" : "starting"));
      }),
    );
    expect(await revisions(clientOf(server.url).client)).toEqual(["starting", "running"]);
  });
});

describe("giving up", () => {
  const quiet: Answer = faithful(start, (response) => void response.write(wireEvent(start[0]!)));

  test("by the signal throws its reason and closes the connection", async () => {
    const closed = new Promise<void>((resolve) => {
      void httpServer(
        faithful(start, (response) => {
          response.on("close", () => resolve());
          response.write(wireEvent(start[0]!));
        }),
      ).then((server) => run(keep(server)));
    });
    let run!: (server: Loopback) => void;
    const serverReady = new Promise<Loopback>((resolve) => (run = resolve));
    const abort = new AbortController();
    const reason = new Error("enough");
    const views = clientOf((await serverReady).url).client.machines.watch(machineId, {
      signal: abort.signal,
    });
    await views.next();
    const next = views.next();
    abort.abort(reason);
    await expect(next).rejects.toBe(reason);
    await closed;
  });

  test("by leaving the loop closes the connection", async () => {
    let closed!: () => void;
    const isClosed = new Promise<void>((resolve) => (closed = resolve));
    const server = keep(
      await httpServer(
        faithful(start, (response) => {
          response.on("close", () => closed());
          response.write(wireEvent(start[0]!));
        }),
      ),
    );
    for await (const _machine of clientOf(server.url).client.machines.watch(machineId)) break;
    await isClosed;
  });

  test("by the time limit tells the phase that was seen last", async () => {
    const server = keep(await httpServer(quiet));
    const failure = revisions(clientOf(server.url).client, { timeoutMs: 60 });
    await expect(failure).rejects.toBeInstanceOf(DeadlineError);
    await expect(failure).rejects.toThrow(/not settled within 60 ms; last seen accepted \(desired running\)/);
  });

  test("by closing the client says so", async () => {
    const server = keep(await httpServer(quiet));
    const { client } = clientOf(server.url);
    const views = client.machines.watch(machineId);
    await views.next();
    const next = views.next();
    await client.close();
    await expect(next).rejects.toMatchObject({ code: "client_closed" });
  });
});

/** A server on a port that was just closed. */
async function reopen(port: number, answer: Answer): Promise<Loopback> {
  const { createServer } = await import("node:http");
  const seen: Loopback["seen"] = [];
  const server = createServer((request, response) => {
    const { method = "", url = "", headers } = request;
    const record = { method, url, headers, body: "" };
    void answer(response, record, seen.push(record));
  });
  for (;;) {
    const failed = await new Promise<boolean>((resolve) => {
      server.once("error", () => resolve(true));
      server.listen(port, "127.0.0.1", () => resolve(false));
    });
    if (!failed) break;
    await delay(5);
  }
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return { url: `http://127.0.0.1:${String(port)}`, seen, close, [Symbol.asyncDispose]: close };
}
