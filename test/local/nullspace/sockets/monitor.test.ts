/** The monitor: every machine, each change, what they use and what they run. */
import { Refusal } from "../../../../local/src/engine/control-plane";
import type { Local } from "../../../../local/src/start-local";
import { ContractCheck, nullspaceContract } from "../../../contracts/contract";
import { Api, eventually, startTestLocal } from "../control-plane";
import { type Frame, TestSocket } from "./socket-client";

let local: Local;
let api: Api;
beforeEach(async () => {
  local = await startTestLocal();
  api = new Api(local);
});
afterEach(() => local.close());

const open = (of = local): Promise<TestSocket> => TestSocket.open(of, "/v1/monitor/ws");
/** Measures once, at the beginning. */
const rarely = { interval_ms: 3_600_000 };

const subscribe = (socket: TestSocket, members: Frame = {}): Promise<Frame> =>
  socket.ask({ type: "monitor_subscribe", id: "m", ...rarely, ...members });

const isOf =
  (type: string, machine: string) =>
  (frame: Frame): boolean =>
    frame["type"] === `monitor_${type}` && frame["machine_id"] === machine;

const idsIn = ({ machines }: Frame): string[] => (machines as Frame[]).map(({ id }) => String(id)).sort();
const statusOf = ({ machine }: Frame): unknown => (machine as Frame | null)?.["status"];

/** The frames up to one that answers a subscription that is made for this. */
async function untilNow(socket: TestSocket): Promise<Frame[]> {
  const id = "now";
  socket.send({ type: "monitor_subscribe", id, ...rarely });
  const frames = await socket.until((frame) => frame["id"] === id);
  socket.send({ type: "monitor_unsubscribe", id });
  return frames.slice(0, -1);
}

describe("monitor_subscribe", () => {
  it("is answered with every machine that there is, as a list shows it", async () => {
    const ids = [await api.machine({ metadata: { run: "a" } }), await api.machine()];
    await api.ask("POST", `/v1/machines/${String(ids[1])}/hibernate`);
    const gone = await api.machine();
    await api.ask("DELETE", `/v1/machines/${gone}`);
    await using socket = await open();
    const snapshot = await subscribe(socket);
    expect(snapshot).toMatchObject({ type: "monitor_snapshot", id: "m" });
    expect(Object.keys(snapshot).sort()).toEqual(["id", "machines", "type"]);
    expect(idsIn(snapshot)).toEqual([...ids].sort());
    const listed = new Map((await api.list()).map((machine) => [machine["id"], machine]));
    for (const { remaining_ms: left, ...machine } of snapshot["machines"] as Frame[]) {
      expect(listed.get(machine["id"])).toMatchObject(machine);
      expect(typeof left).toBe(machine["status"] === "running" ? "number" : "undefined");
    }
  });

  it("tells of each machine that comes, changes and goes", async () => {
    await using socket = await open();
    expect(await subscribe(socket)).toMatchObject({ machines: [] });
    const id = await api.machine({ metadata: { run: "b" } });
    const [made] = await socket.until((frame) => isOf("update", id)(frame) && statusOf(frame) === "running");
    expect(made).toMatchObject({ id: "m", removed: false, machine: { id, metadata: { run: "b" } } });
    await api.ask("POST", `/v1/machines/${id}/hibernate`);
    await socket.until((frame) => isOf("update", id)(frame) && statusOf(frame) === "paused");
    await api.ask("DELETE", `/v1/machines/${id}`);
    const removed = (await socket.until(({ removed }) => removed === true)).at(-1);
    expect(removed).toEqual({
      ...{ type: "monitor_update", id: "m", machine_id: id, machine: null, removed: true },
    });
    expect(await untilNow(socket)).toEqual([]);
  });

  it("tells of machines that the other dialect makes", async () => {
    await using socket = await open();
    await subscribe(socket);
    const response = await fetch(`${local.dedalus}/v1/machines`, {
      method: "POST",
      headers: {
        ...{ authorization: `Bearer ${local.apiKey}`, "content-type": "application/json" },
        "idempotency-key": "of the monitor",
      },
      body: JSON.stringify({ vcpu: 0.25, memory_mib: 256, storage_gib: 1 }),
    });
    const { machine_id: made } = (await response.json()) as { machine_id: string };
    await socket.until(isOf("update", made.replace("dm-", "mch_")));
  });

  it("under the same id takes the place of the first; under another it stands beside it", async () => {
    await using socket = await open();
    await subscribe(socket);
    await subscribe(socket);
    await subscribe(socket, { id: "other" });
    const id = await api.machine();
    await socket.until((frame) => frame["id"] === "other" && statusOf(frame) === "running");
    await untilNow(socket);
    const running = socket.seen.filter((frame) => isOf("update", id)(frame) && statusOf(frame) === "running");
    expect(running.map((frame) => frame["id"]).sort()).toEqual(["m", "other"]);
  });

  it("more often than a socket takes is refused, until one is given up", async () => {
    await using socket = await open();
    for (let n = 0; n < 16; n++) await subscribe(socket, { id: `m${String(n)}` });
    const refused = await subscribe(socket, { id: "one more" });
    expect(refused).toMatchObject({ type: "monitor_error", id: "one more", code: "rate_limit_exceeded" });
    socket.send({ type: "monitor_unsubscribe", id: "m3" });
    expect(await subscribe(socket, { id: "one more" })).toMatchObject({ type: "monitor_snapshot" });
  });

  it("refuses what makes no sense, naming the place", async () => {
    await using socket = await open();
    const wrong: [Frame, string][] = [
      [{ type: "monitor_subscribe" }, "frame.id"],
      [{ type: "monitor_subscribe", id: "" }, "frame.id"],
      [{ type: "monitor_subscribe", id: "m", interval_ms: 1 }, "frame.interval_ms"],
      [{ type: "monitor_subscribe", id: "m", interval_ms: "often" }, "frame.interval_ms"],
      [{ type: "monitor_subscribe", id: "m", include_processes: "yes" }, "frame.include_processes"],
      [{ type: "subscribe", id: "m" }, "frame.type"],
    ];
    for (const [frame, place] of wrong) {
      const told = await socket.ask(frame);
      expect(told).toMatchObject({ type: "monitor_error", code: "invalid_request" });
      expect(told["message"]).toContain(place);
    }
  });

  it("that the store cannot answer is an error, and can be tried again", async () => {
    await using socket = await open();
    const { machines } = local.controlPlane;
    const list = machines.list.bind(machines);
    machines.list = () => Promise.reject(new Error("the disk is gone: secret words"));
    const told = await subscribe(socket);
    expect(told).toMatchObject({ type: "monitor_error", id: "m", code: "internal_error" });
    expect(JSON.stringify(told)).not.toContain("secret");
    expect(await socket.closed).toMatchObject({ code: 1011 });
    machines.list = list;
    await using again = await open();
    expect(await subscribe(again)).toMatchObject({ type: "monitor_snapshot" });
  });
});

it("monitor_unsubscribe ends it, and of an id that is not in use does nothing", async () => {
  await using socket = await open();
  await subscribe(socket, { interval_ms: 100 });
  socket.send({ type: "monitor_unsubscribe", id: "m" });
  socket.send({ type: "monitor_unsubscribe", id: "none" });
  await untilNow(socket);
  await api.machine();
  const frames = await untilNow(socket);
  expect(frames.filter(({ id }) => id === "m")).toEqual([]);
});

describe("measurements", () => {
  it("come of each machine that runs, at once and then by the interval, in the contract's form", async () => {
    const id = await api.machine();
    const paused = await api.machine();
    await api.ask("POST", `/v1/machines/${paused}/hibernate`);
    await using socket = await open();
    await subscribe(socket, { interval_ms: 100 });
    const check = new ContractCheck(nullspaceContract());
    for (let round = 0; round < 3; round++) {
      const frame = (await socket.until(isOf("metrics", id))).at(-1);
      expect(frame?.["id"]).toBe("m");
      const headers = new Headers({ "content-type": "application/json" });
      const body = JSON.stringify([frame?.["metrics"]]);
      check.check("GET", `/v1/machines/${id}/metrics`, { status: 200, headers, body });
    }
    expect(socket.seen.filter(isOf("metrics", paused))).toEqual([]);
    expect(socket.seen.filter(({ type }) => type === "monitor_processes")).toEqual([]);
  });

  it("that fail are told with the machine's name, and the others go on", async () => {
    const [broken, fine] = [await api.machine(), await api.machine()];
    const { machines } = local.controlPlane;
    const usage = machines.usage.bind(machines);
    machines.usage = async (id) => {
      if (broken === `mch_${id}`) throw new Refusal("not_supported", "its driver cannot tell");
      return usage(id);
    };
    await using socket = await open();
    await subscribe(socket, { interval_ms: 100 });
    for (let round = 0; round < 2; round++) {
      const told = (await socket.untilType("monitor_error")).at(-1);
      expect(told).toMatchObject({ id: "m", code: "not_implemented" });
      expect(told?.["message"]).toBe(`${broken}: its driver cannot tell`);
      await socket.until(isOf("metrics", fine));
    }
  });

  it("tell of the commands that run, where that is asked for", async () => {
    await using other = await startTestLocal({ driver: "process" });
    const its = new Api(other);
    const id = await its.machine();
    await its.ask("POST", `/v1/machines/${id}/exec`, {
      body: { command: "sleep 300", shell: true, background: true },
    });
    const { json } = await its.ask("GET", `/v1/machines/${id}/processes`);
    await using socket = await open(other);
    await subscribe(socket, { interval_ms: 100, include_processes: true });
    const frame = (await socket.until(isOf("processes", id))).at(-1);
    expect(frame).toEqual({ type: "monitor_processes", id: "m", machine_id: id, processes: json });
    expect(JSON.stringify(json)).toContain("sleep 300");
    await its.ask("DELETE", `/v1/machines/${id}`);
  });
});

describe("many machines", () => {
  /** More than a page of a list, and than the first frame takes. */
  const many = 240;
  const metadata = { notes: "x".repeat(1_500) };

  async function makeMany(): Promise<string[]> {
    const ids: string[] = [];
    const maker = async () => {
      while (ids.length < many) {
        const place = ids.push("") - 1;
        ids[place] = await api.machine({ metadata });
      }
    };
    await Promise.all(Array.from({ length: 8 }, maker));
    return ids.sort();
  }

  it("come in a first frame that every client takes, and then one by one", async () => {
    const ids = await makeMany();
    await using socket = await open();
    const snapshot = await subscribe(socket);
    expect(JSON.stringify(snapshot).length).toBeLessThan(300_000);
    const seen = new Set(idsIn(snapshot));
    expect(seen.size).toBeGreaterThan(10);
    while (seen.size < many) {
      const frame = await socket.next();
      if (frame?.["type"] !== "monitor_update") continue;
      const id = String(frame["machine_id"]);
      expect(seen.has(id)).toBe(false);
      seen.add(id);
    }
    expect([...seen].sort()).toEqual(ids);
  });

  it("and a reader that reads nothing for a while: it is told of each as it is by then", async () => {
    await using socket = await open();
    const busy = await api.machine();
    await subscribe(socket);
    socket.ws.pause();
    const ids = await makeMany();
    for (let n = 0; n < 20; n++) {
      await api.ask("POST", `/v1/machines/${busy}/timeout`, { body: { timeout_ms: 1_000_000 + n } });
    }
    await api.ask("POST", `/v1/machines/${busy}/hibernate`);
    socket.ws.resume();
    const newest = new Map<string, unknown>();
    while (newest.size < many + 1 || newest.get(busy) !== "paused") {
      const frame = await socket.next();
      if (frame?.["type"] === "monitor_update") newest.set(String(frame["machine_id"]), statusOf(frame));
    }
    expect([...newest.keys()].sort()).toEqual([busy, ...ids].sort());
  });
});

it("a socket that closes leaves nothing behind", async () => {
  await api.machine();
  const { machines } = local.controlPlane;
  let following = 0;
  const followAll = machines.followAll.bind(machines);
  machines.followAll = (listener) => {
    following++;
    const stop = followAll(listener);
    return () => {
      following--;
      stop();
    };
  };
  const sockets = [await open(), await open()];
  for (const socket of sockets) {
    for (const id of ["a", "b"]) {
      socket.send({ type: "monitor_subscribe", id, ...rarely });
      await socket.untilType("monitor_snapshot");
    }
  }
  expect(following).toBe(4);
  sockets[0]?.cut();
  await sockets[1]?.[Symbol.asyncDispose]();
  await eventually("nobody follows", () => following === 0);
});
