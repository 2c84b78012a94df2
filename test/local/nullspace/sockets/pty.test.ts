/** Terminals over the machine's socket. */
import type { Local } from "../../../../local/src/start-local";
import { Api, eventually, startTestLocal } from "../control-plane";
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

const open = (): Promise<TestSocket> => TestSocket.open(local, `/v1/machines/${id}/ws?channel=pty`);

/** Reads output until this stands in it; `data` and `data_base64` are the same where it is text. */
async function untilShown(socket: TestSocket, text: string): Promise<string> {
  let shown = "";
  await socket.until(({ type, data, data_base64: encoded }) => {
    if (type !== "pty_output") return false;
    const bytes = Buffer.from(String(encoded), "base64").toString("utf8");
    expect(data).toBe(bytes);
    shown += bytes;
    return shown.includes(text);
  });
  return shown;
}

async function start(socket: TestSocket, more: Frame = {}): Promise<{ session: string; pid: number }> {
  const started = await socket.ask({ type: "pty_start", id: "t1", ...more });
  expect(started).toMatchObject({ type: "pty_started", id: "t1" });
  return { session: String(started["session_id"]), pid: Number(started["pid"]) };
}

const input = (session: string, data: string): Frame => ({
  ...{ type: "pty_input", id: "t1", session_id: session, data },
});

describe("a terminal", () => {
  it("begins with pty_started, shows what its shell writes, and ends with the shell's exit code", async () => {
    await using socket = await open();
    const { session, pid } = await start(socket, {
      cols: 100,
      rows: 40,
      envs: { GREETING: "hi" },
      cwd: "/tmp",
    });
    expect(socket.seen[0]).toMatchObject({ cols: 100, rows: 40, session_id: session, pid });
    socket.send(input(session, 'tty >/dev/null && echo "$GREETING-$PWD-$TERM-$(stty size)"\n'));
    await untilShown(socket, "hi-/tmp-xterm-256color-40 100");
    const encoded = Buffer.from("exit 7\n").toString("base64");
    socket.send({ type: "pty_input", id: "t1", session_id: session, data_base64: encoded });
    const frames = await socket.untilType("pty_exited");
    expect(frames.at(-1)).toEqual({ type: "pty_exited", id: "t1", session_id: session, exit_code: 7 });
  });

  it("is as large as the vendor's by default, and can be resized over the socket", async () => {
    await using socket = await open();
    const { session } = await start(socket);
    expect(socket.seen[0]).toMatchObject({ cols: 120, rows: 30 });
    socket.send({ type: "pty_resize", id: "t1", session_id: session, cols: 61, rows: 17 });
    await eventually("it is resized", async () => {
      const { json } = await api.ask("GET", `/v1/machines/${id}/pty/${session}`);
      return json["cols"] === 61 && json["rows"] === 17;
    });
    socket.send(input(session, "stty size\n"));
    await untilShown(socket, "17 61");
    socket.send({ type: "pty_kill", id: "t1", session_id: session });
    expect((await socket.untilType("pty_exited")).at(-1)).toMatchObject({ exit_code: 137 });
  });

  it("keeps the order of what is typed", async () => {
    await using socket = await open();
    const { session } = await start(socket);
    socket.send(input(session, "stty -echo; cat\n"));
    for (let n = 0; n < 100; n++) socket.send(input(session, `${String(n)},`));
    socket.send(input(session, "\n"));
    await untilShown(socket, Array.from({ length: 100 }, (_, n) => `${String(n)},`).join(""));
    socket.send({ type: "pty_kill", id: "t1", session_id: session });
    await socket.untilType("pty_exited");
  });

  it("has its new size before what is typed after it", async () => {
    await using socket = await open();
    const { session } = await start(socket);
    for (let cols = 50; cols < 60; cols++) {
      socket.send({ type: "pty_resize", id: "t1", session_id: session, cols, rows: 20 });
      socket.send(input(session, "stty size\n"));
      await untilShown(socket, `20 ${String(cols)}`);
    }
    socket.send({ type: "pty_kill", id: "t1", session_id: session });
    await socket.untilType("pty_exited");
  });

  it("outlives its socket, and is joined again by its session or its pid", async () => {
    const lost = await open();
    const { session, pid } = await start(lost);
    lost.send(input(session, "kept=before\n"));
    await untilShown(lost, "kept=before");
    lost.cut();
    await lost.closed;
    await using socket = await open();
    for (const by of [{ session_id: session }, { pid }]) {
      const id = `by ${Object.keys(by).join()}`;
      socket.send({ type: "pty_connect", id, ...by });
      // The one that has joined before may be told what the shell writes meanwhile.
      const joined = (await socket.untilType("pty_started")).at(-1);
      expect(joined).toMatchObject({ id, session_id: session, pid });
    }
    socket.send(input(session, 'echo "it is $kept"\n'));
    await untilShown(socket, "it is before");
    socket.send({ type: "pty_kill", id: "any", session_id: session });
    const exits = [...(await socket.untilType("pty_exited")), ...(await socket.untilType("pty_exited"))];
    expect(
      exits
        .filter(({ type }) => type === "pty_exited")
        .map((frame) => frame["id"])
        .sort(),
    ).toEqual(["by pid", "by session_id"]);
  });

  it("that has ended is pty_started and pty_exited for whoever joins it", async () => {
    await using socket = await open();
    const { session } = await start(socket);
    socket.send(input(session, "exit 5\n"));
    await socket.untilType("pty_exited");
    socket.send({ type: "pty_connect", id: "late", session_id: session });
    expect((await socket.untilType("pty_exited")).map(({ type }) => type)).toEqual([
      "pty_started",
      "pty_exited",
    ]);
  });

  it("that there is none of, and frames that say too little or too much, are errors", async () => {
    await using socket = await open();
    const { session } = await start(socket);
    const wrong: [Frame, string][] = [
      [{ type: "pty_connect", session_id: "pty_none" }, "not_found"],
      [{ type: "pty_connect", pid: 999_999_999 }, "not_found"],
      [{ type: "pty_connect" }, "invalid_request"],
      [{ type: "pty_connect", session_id: session, pid: 1 }, "invalid_request"],
      [{ type: "pty_input", session_id: "pty_none", data: "x" }, "not_found"],
      [{ type: "pty_input", session_id: session }, "invalid_request"],
      [{ type: "pty_input", session_id: session, data_base64: "?" }, "invalid_request"],
      [{ type: "pty_resize", session_id: session, cols: 0, rows: 1 }, "invalid_request"],
      [{ type: "pty_resize", session_id: "pty_none", cols: 1, rows: 1 }, "not_found"],
      [{ type: "pty_kill", session_id: "pty_none" }, "not_found"],
      [{ type: "pty_start", cwd: "not/absolute" }, "invalid_request"],
      [{ type: "exec_start", command: "true" }, "invalid_request"],
    ];
    for (const [frame, code] of wrong) {
      socket.send({ id: "wrong", ...frame });
      const told = (await socket.untilType("error")).at(-1);
      expect([frame, told?.["id"], told?.["code"]]).toEqual([frame, "wrong", code]);
    }
    socket.send({ type: "pty_kill", id: "t1", session_id: session });
    await socket.untilType("pty_exited");
  });

  it("is refused by its name what is no terminal", async () => {
    await using any = await TestSocket.open(local, `/v1/machines/${id}/ws`);
    const { pid } = await any.ask({ type: "exec_start", id: "c", command: "cat" });
    const told = await any.ask({ type: "pty_connect", id: "t", pid });
    expect(told).toMatchObject({ type: "error", id: "t" });
    expect(told["message"]).toContain("does not run on a terminal");
    any.send({ type: "exec_kill", id: "c", pid });
    await any.untilType("exec_exit");
  });
});
