/** Watched folders over the machine's socket. */
import type { Local } from "../../../../local/src/start-local";
import { Api, startTestLocal } from "../control-plane";
import { type Frame, TestSocket } from "./socket-client";

let local: Local;
let api: Api;
let id: string;
beforeAll(async () => {
  local = await startTestLocal({ driver: "process" });
  api = new Api(local);
  id = await api.machine();
});
afterAll(async () => {
  await api.ask("DELETE", `/v1/machines/${id}`);
  await local.close();
});

/** As the vendor's client opens it: without a channel. */
const open = (machine = id): Promise<TestSocket> => TestSocket.open(local, `/v1/machines/${machine}/ws`);

let runs = 0;

/** Runs a line on the same socket; answers what came meanwhile. */
async function run(socket: TestSocket, line: string): Promise<Frame[]> {
  socket.send({ type: "exec_start", id: `run ${String(++runs)}`, command: line, shell: true });
  const frames = await socket.untilType("exec_exit");
  expect(frames.at(-1)?.["exit_code"]).toBe(0);
  return frames;
}

const fits =
  (event: string, name: string) =>
  (frame: Frame): boolean =>
    frame["type"] === "file_event" && frame["event"] === event && frame["name"] === name;

async function folder(socket: TestSocket, name: string): Promise<string> {
  const frames = await run(socket, `mkdir -p ${name}/deep; cd ${name}; pwd`);
  return String(frames.find(({ type }) => type === "exec_stdout")?.["data"]).trim();
}

describe("file_watch", () => {
  it("tells that it stands, then each change with its name and its path", async () => {
    await using socket = await open();
    const path = await folder(socket, "watched");
    expect(
      await socket.ask({
        type: "file_watch",
        id: "w1",
        path,
        user: null,
        recursive: false,
        timeout_secs: null,
      }),
    ).toEqual({
      ...{ type: "file_watch_started", id: "w1" },
    });
    // Each is waited for before the next is made: changes that come together are told as their outcome.
    for (const [line, ...expected] of [
      [`touch ${path}/new`, ["create", "new"]],
      [`echo x > ${path}/new`, ["write", "new"]],
      [`chmod 700 ${path}/new`, ["chmod", "new"]],
      [`mv ${path}/new ${path}/moved`, ["rename", "new"], ["create", "moved"]],
      [`rm ${path}/moved`, ["remove", "moved"]],
    ] as [string, ...[string, string][]][]) {
      await run(socket, line);
      for (const [event, name] of expected) {
        await waitFor(socket, fits(event, name));
        const told = { type: "file_event", id: "w1", event, name, path: `${path}/${name}` };
        expect(socket.seen.find(fits(event, name))).toEqual(told);
      }
    }
  });

  it("watches what is below only where it is asked to, several at a time", async () => {
    await using socket = await open();
    const path = await folder(socket, "both");
    await socket.ask({ type: "file_watch", id: "flat", path });
    await socket.ask({ type: "file_watch", id: "deep", path, recursive: true });
    await run(socket, `touch ${path}/deep/below; touch ${path}/here`);
    for (const watch of ["flat", "deep"]) {
      await waitFor(socket, (frame) => fits("create", "here")(frame) && frame["id"] === watch);
    }
    const below = socket.seen.filter(fits("create", "deep/below")).map((frame) => frame["id"]);
    expect(below).toEqual(["deep"]);
  });

  it("of a folder that is not there, or on a command's channel, is an error", async () => {
    await using socket = await open();
    const told = await socket.ask({ type: "file_watch", id: "w", path: "/no/such/folder" });
    expect(told).toMatchObject({ type: "error", id: "w", code: "not_found" });
    for (const frame of [{ path: "" }, { path: "/a\0b" }, { path: "/tmp", timeout_secs: -1 }]) {
      expect(await socket.ask({ type: "file_watch", id: "w", ...frame })).toMatchObject({
        ...{ type: "error", id: "w", code: "invalid_request" },
      });
    }
    await using exec = await TestSocket.open(local, `/v1/machines/${id}/ws?channel=exec`);
    expect(await exec.ask({ type: "file_watch", id: "w", path: "/tmp" })).toMatchObject({
      ...{ type: "error", id: "w", code: "invalid_request" },
    });
  });

  it("ends quietly when its time is up, and its id can be taken again", async () => {
    await using socket = await open();
    const path = await folder(socket, "timed");
    await socket.ask({ type: "file_watch", id: "w", path, timeout_secs: 0.2 });
    expect(await socket.ask({ type: "file_watch", id: "w", path })).toMatchObject({ code: "conflict" });
    let again: Frame = {};
    while (again["type"] !== "file_watch_started") {
      await run(socket, "sleep 0.05");
      again = await socket.ask({ type: "file_watch", id: "w", path });
    }
    expect(socket.seen.filter(({ type, code }) => type === "error" && code !== "conflict")).toEqual([]);
  });

  it("ends with an error when its machine stops", async () => {
    const machine = await api.machine();
    await using socket = await open(machine);
    await socket.ask({ type: "file_watch", id: "w", path: "/tmp" });
    await api.ask("POST", `/v1/machines/${machine}/hibernate`);
    expect((await socket.untilType("error")).at(-1)).toMatchObject({ id: "w", code: "machine_not_ready" });
    await api.ask("DELETE", `/v1/machines/${machine}`);
  });
});

/** Waits for a frame that may have come already. */
async function waitFor(socket: TestSocket, wanted: (frame: Frame) => boolean): Promise<void> {
  if (!socket.seen.some(wanted)) await socket.until(wanted);
}
