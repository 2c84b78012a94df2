/** The status stream: every revision once and in order, an end that means something, resume, faults. */
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type ServerResponse } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { StatusStream, StatusStreams } from "../../../local/src/dialects/dedalus/status-streams";
import type { MachineRecord } from "../../../local/src/engine/record";
import { type Local, startLocal } from "../../../local/src/start-local";
import { ScriptedDriver, World } from "../engine/scripted-driver";
import { Api, eventually, revision, smallest, startTestLocal } from "./control-plane";
import { StatusReader } from "./status-reader";

/** A start that waits until it is let go. */
class Gate {
  private waiting: (() => void)[] = [];
  closed = false;

  pass = (signal?: AbortSignal): Promise<void> | undefined =>
    this.closed
      ? new Promise<void>((resolve, reject) => {
          this.waiting.push(resolve);
          signal?.addEventListener("abort", () => {
            reject(new Error("aborted"));
          });
        })
      : undefined;

  open(): void {
    this.closed = false;
    for (const go of this.waiting.splice(0)) go();
  }
}

const gate = new Gate();
const driver = new ScriptedDriver(new World());
let local: Local;
let api: Api;
beforeAll(async () => {
  driver.before = (operation, _id, signal) => (operation === "start" ? gate.pass(signal) : undefined);
  local = await startTestLocal({ driver, heartbeatMs: 100 });
  api = new Api(local);
});
afterAll(() => local.close());
afterEach(() => {
  gate.open();
  local.faults.replace({ rules: [] });
});

/** A machine that stays in `starting` until the gate opens. */
async function starting(): Promise<{ id: string; at: string }> {
  gate.closed = true;
  const { json } = await api.ask("POST", "/v1/machines", { body: smallest });
  const id = String(json["machine_id"]);
  await eventually("the machine starts", async () => (await api.phaseOf(id)) === "starting");
  return { id, at: revision((await api.ask("GET", `/v1/machines/${id}`)).json) };
}

it("tells every phase once, in order, and ends when the desired state holds", async () => {
  const { id } = await starting();
  const reader = await StatusReader.open(local, id, "1");
  await reader.until("what was before is told", () => reader.phases.at(-1) === "starting");
  gate.open();
  expect(await reader.ended).toBe("end");
  expect(reader.phases).toEqual(["placement_pending", "starting", "running"]);
  expect(reader.ids).toEqual([2, 3, 4]);
});

it("has a frame that every client can read: event, id, one line of data, an empty line", async () => {
  const reader = await StatusReader.open(local, await api.machine());
  expect(await reader.ended).toBe("end");
  expect(reader.text).toMatch(/^event: status\nid: 4\ndata: \{"machine_id":"dm-[^\n]+\}\n\n$/);
  expect(reader.response.headers).toMatchObject({
    "content-type": "text/event-stream",
    "cache-control": "no-store",
    "x-request-id": expect.stringMatching(/^[0-9a-f-]{36}$/) as unknown,
  });
});

it("begins with the present revision for those who have seen none, or one that never was", async () => {
  const id = await api.machine();
  for (const seen of [undefined, "", "no revision", "0", "99999", "99999999999999999999"]) {
    const reader = await StatusReader.open(local, id, seen);
    expect(await reader.ended).toBe("end");
    expect([reader.ids, reader.phases]).toEqual([[4], ["running"]]);
  }
});

it("goes on after the revision that was seen last, from any of them", async () => {
  const id = await api.machine();
  await api.ask("POST", `/v1/machines/${id}/sleep`);
  await api.settle(id);
  for (const seen of [1, 2, 3, 4, 5]) {
    const reader = await StatusReader.open(local, id, String(seen));
    expect(await reader.ended).toBe("end");
    expect(reader.ids).toEqual([2, 3, 4, 5, 6].filter((at) => at > seen));
  }
});

it("says with a bookmark that nothing came after the last revision, and ends", async () => {
  const reader = await StatusReader.open(local, await api.machine(), "4");
  expect(await reader.ended).toBe("end");
  expect(reader.events).toEqual([{ name: "bookmark", id: "4", data: { revision: "4" } }]);
});

it("stays open where nothing has come yet, beating all the while", async () => {
  const { id, at } = await starting();
  const reader = await StatusReader.open(local, id, at);
  await reader.until("three heartbeats", () => reader.text.startsWith(":\n\n:\n\n:\n\n"));
  expect(reader.events).toEqual([]);
  gate.open();
  expect(await reader.ended).toBe("end");
  expect(reader.phases).toEqual(["running"]);
});

it("ends after a failure and after destruction", async () => {
  const fail = { reason: "image_missing", lastError: "no such image", retryable: false };
  local.faults.replace({ rules: [{ on: "start", after: 0, times: 1, fail }] });
  const { json } = await api.ask("POST", "/v1/machines", { body: smallest });
  const id = String(json["machine_id"]);
  const failing = await StatusReader.open(local, id, "1");
  expect(await failing.ended).toBe("end");
  expect(failing.phases.at(-1)).toBe("failed");
  const { id: other, at } = await starting();
  const watching = await StatusReader.open(local, other, at);
  await api.ask("DELETE", `/v1/machines/${other}`);
  expect(await watching.ended).toBe("end");
  expect(watching.phases).toEqual(["destroying", "destroyed"]);
});

it("tells a thousand readers of one machine the same", async () => {
  const { id, at } = await starting();
  const readers = await Promise.all(Array.from({ length: 1000 }, () => StatusReader.open(local, id, at)));
  gate.open();
  const ends = await Promise.all(readers.map((reader) => reader.ended));
  expect(new Set(ends)).toEqual(new Set(["end"]));
  expect(new Set(readers.map((reader) => reader.phases.join()))).toEqual(new Set(["running"]));
});

it("lets go of readers that leave", async () => {
  const { id, at } = await starting();
  const reader = await StatusReader.open(local, id, at);
  reader.leave();
  expect(await reader.ended).toBe("broken");
  gate.open();
  expect((await api.settle(id)).at(-1)?.data).toMatchObject({ status: { phase: "running" } });
});

it("ends when the control plane stops, and goes on at the next one", async () => {
  const stateDir = mkdtempSync(join(tmpdir(), "machines-local-"));
  const world = new World();
  const own = new ScriptedDriver(world);
  const slow = new Gate();
  own.before = (operation) => (operation === "start" ? slow.pass() : undefined);
  slow.closed = true;
  try {
    const first = await startLocal({ stateDir, port: 0, driver: own });
    const asking = new Api(first);
    const { json } = await asking.ask("POST", "/v1/machines", { body: smallest });
    const id = String(json["machine_id"]);
    const reader = await StatusReader.open(first, id, "1");
    await reader.until("the machine starts", () => reader.phases.at(-1) === "starting");
    const closed = first.close();
    expect(await reader.ended).toBe("end");
    slow.open();
    await closed;
    const second = await startLocal({ stateDir, port: 0, driver: new ScriptedDriver(world) });
    const again = await StatusReader.open(second, id, String(reader.ids.at(-1)));
    expect(await again.ended).toBe("end");
    expect([...reader.ids, ...again.ids]).toEqual([2, 3, 4]);
    expect(again.phases).toEqual(["running"]);
    await second.close();
  } finally {
    rmSync(stateDir, { recursive: true, force: true });
  }
});

it("cuts off a reader that does not read, and only that one", async () => {
  const streams = new StatusStreams(10, 100_000, JSON.stringify);
  const responses: ServerResponse[] = [];
  const server = createServer((_request, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" }).flushHeaders();
    responses.push(response);
  }).listen(0, "127.0.0.1");
  await eventually("the server listens", () => server.listening);
  const { port } = server.address() as AddressInfo;
  const open = async () => {
    const socket = connect(port, "127.0.0.1").on("error", () => undefined);
    socket.write("GET / HTTP/1.1\r\nhost: localhost\r\n\r\n");
    const at = responses.length;
    await eventually("the stream is open", () => responses.length > at);
    const stream = new StatusStream(responses[at] as ServerResponse, streams);
    stream.begin(() => undefined, undefined);
    return { socket, stream, response: responses[at] as ServerResponse };
  };
  const [idle, keen] = [await open(), await open()];
  idle.socket.pause();
  let read = 0;
  keen.socket.on("data", (chunk: Buffer) => (read += chunk.length));
  const large = { phase: "starting", desiredState: "running", reason: "x".repeat(60_000) } as MachineRecord;
  for (let at = 1; !idle.response.destroyed; at++) {
    for (const { stream } of [idle, keen]) stream.tell({ ...large, revision: at });
    const sent = at * 60_000;
    await eventually("the keen reader has it", () => read > sent);
    if (sent > 100_000_000) throw new Error("the idle reader was never cut off");
  }
  expect(keen.response.destroyed).toBe(false);
  keen.socket.destroy();
  idle.socket.destroy();
  streams.close();
  server.close();
});

describe("by the fault script", () => {
  it("drops the connection after some events; the reader resumes", async () => {
    const { id } = await starting();
    local.faults.replace({ rules: [{ on: "stream", do: "drop", afterEvents: 1, after: 0, times: 1 }] });
    const dropped = await StatusReader.open(local, id, "1");
    expect(await dropped.ended).toBe("broken");
    expect(dropped.ids).toEqual([2]);
    gate.open();
    const resumed = await StatusReader.open(local, id, "2");
    expect(await resumed.ended).toBe("end");
    expect(resumed.ids).toEqual([3, 4]);
  });

  it("cuts an event in the middle", async () => {
    const { id } = await starting();
    local.faults.replace({ rules: [{ on: "stream", do: "truncate", afterEvents: 1, after: 0, times: 1 }] });
    const reader = await StatusReader.open(local, id, "1");
    expect(await reader.ended).toBe("broken");
    expect(reader.ids).toEqual([2]);
    expect(reader.text).toMatch(/\n\nevent: status\nid: 3\ndata: \{[^\n]*$/);
  });

  it("falls silent, without heartbeats", async () => {
    const { id } = await starting();
    const healthy = await StatusReader.open(local, id, "1");
    local.faults.replace({ rules: [{ on: "stream", do: "silence", afterEvents: 1, after: 0, times: 1 }] });
    const silent = await StatusReader.open(local, id, "1");
    await silent.until("one event", () => silent.ids.length === 1);
    const before = healthy.text.length;
    gate.open();
    expect(await healthy.ended).toBe("end");
    expect(healthy.text.length).toBeGreaterThan(before);
    expect(silent.text.replaceAll(":\n\n", "")).toBe(silent.text);
    expect(silent.ids).toEqual([2]);
    silent.leave();
  });
});
