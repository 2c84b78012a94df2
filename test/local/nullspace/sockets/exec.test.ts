/** Commands over the machine's socket, run by real processes. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ProcessEvent } from "../../../../local/src/engine/processes/api";
import { type Local, startLocal } from "../../../../local/src/start-local";
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

const open = (machine = id): Promise<TestSocket> =>
  TestSocket.open(local, `/v1/machines/${machine}/ws?channel=exec`);

const sh = (command: string, more: Frame = {}): Frame => ({
  ...{ type: "exec_start", id: "c1", command: "sh", args: ["-c", command] },
  ...more,
});

/** The bytes of one stream, as its frames tell them, each where it belongs. */
function textOf(frames: readonly Frame[], stream = "stdout", from = 0): string {
  let at = from;
  let text = "";
  for (const { type, offset, bytes, data } of frames) {
    if (type !== `exec_${stream}`) continue;
    expect(offset).toBe(at);
    at += Number(bytes);
    text += String(data);
  }
  return text;
}

const types = (frames: readonly Frame[]): string[] => frames.map(({ type }) => String(type));

async function pidOf(socket: TestSocket, frame: Frame): Promise<number> {
  const started = await socket.ask(frame);
  expect(started).toMatchObject({ type: "exec_started", stdout_offset: 0, stderr_offset: 0 });
  return Number(started["pid"]);
}

describe("exec_start", () => {
  it("tells the pid first, then the output of both streams, and last the exit with all the bytes", async () => {
    await using socket = await open();
    socket.send(sh("printf out; printf errors >&2; exit 3"));
    const frames = await socket.untilType("exec_exit");
    const [started] = frames;
    expect(started).toMatchObject({ type: "exec_started", id: "c1", stdout_offset: 0, stderr_offset: 0 });
    expect(textOf(frames)).toBe("out");
    expect(textOf(frames, "stderr")).toBe("errors");
    expect(frames.at(-1)).toEqual({
      ...{ type: "exec_exit", id: "c1", pid: started?.["pid"], exit_code: 3 },
      ...{ stdout_bytes: 3, stderr_bytes: 6 },
    });
  });

  it("takes a shell's line with arguments, a working folder and variables", async () => {
    await using socket = await open();
    socket.send({
      ...{ type: "exec_start", id: "c1", command: 'echo "$PWD $GREETING $1"', args: ["there"], shell: true },
      ...{ cwd: "/tmp", envs: { GREETING: "hi" }, timeout_secs: 5 },
    });
    expect(textOf(await socket.untilType("exec_exit"))).toBe("/tmp hi there\n");
  });

  it("runs several commands on one socket, each under its id", async () => {
    await using socket = await open();
    for (const name of ["a", "b", "c"])
      socket.send(sh(`echo ${name}; exit ${String(name.charCodeAt(0))}`, { id: name }));
    const frames: Frame[] = [];
    for (let exits = 0; exits < 3; exits++) frames.push(...(await socket.untilType("exec_exit")));
    for (const name of ["a", "b", "c"]) {
      const own = frames.filter((frame) => frame["id"] === name);
      expect(types(own)).toEqual(["exec_started", "exec_stdout", "exec_exit"]);
      expect(textOf(own)).toBe(`${name}\n`);
      expect(own.at(-1)?.["exit_code"]).toBe(name.charCodeAt(0));
    }
  });

  it("takes an id again when its command has ended, and not before", async () => {
    await using socket = await open();
    await pidOf(socket, sh("cat"));
    expect(await socket.ask(sh("true"))).toMatchObject({ type: "error", id: "c1", code: "conflict" });
    socket.send({ type: "exec_stdin_close", id: "c1", pid: Number(socket.seen[0]?.["pid"]) });
    await socket.untilType("exec_exit");
    socket.send(sh("exit 4"));
    expect((await socket.untilType("exec_exit")).at(-1)?.["exit_code"]).toBe(4);
  });

  it("answers a program that is not there as a prompt does", async () => {
    await using socket = await open();
    socket.send({ type: "exec_start", id: "c1", command: "no-such-program" });
    const frames = await socket.untilType("exec_exit", "error");
    expect(frames.at(-1)).toMatchObject({ type: "exec_exit", exit_code: 127 });
    expect(textOf(frames, "stderr")).toContain("no-such-program");
  });

  it("whose time is up is an error that says so, and exit code 124 after it", async () => {
    await using socket = await open();
    socket.send(sh("echo before; sleep 60", { timeout_secs: 1 }));
    const frames = await socket.untilType("exec_exit");
    expect(types(frames)).toEqual(["exec_started", "exec_stdout", "error", "exec_exit"]);
    expect(frames.at(-2)).toMatchObject({ id: "c1", code: "exec_timeout" });
    expect(frames.at(-1)).toMatchObject({ exit_code: 124, error_code: "EXECUTION_TIMEOUT" });
  });

  it("refuses what cannot be run, naming the place, and no value", async () => {
    await using socket = await open();
    const wrong: [Frame, string][] = [
      [sh("true", { cwd: "relative" }), "frame.cwd"],
      [sh("true", { envs: { "1BAD": "secret" } }), "frame.envs.1BAD"],
      [sh("nul\0"), "frame.args.1"],
      [sh("true", { timeout_secs: 1e9 }), "frame.timeout_secs"],
      [sh("true", { timeout_secs: "30" }), "frame.timeout_secs"],
      [{ type: "exec_start", id: "c1" }, "frame.command: required"],
      [{ type: "exec_start", command: "true" }, "frame.id: required"],
    ];
    for (const [frame, place] of wrong) {
      const told = await socket.ask(frame);
      expect(told).toMatchObject({ type: "error", code: "invalid_request" });
      expect(told["id"]).toBe(frame["id"]);
      expect(told["message"]).toContain(place);
      expect(told["message"]).not.toContain("secret");
    }
  });
});

describe("output", () => {
  it("never cuts a character, and stands in for bytes that are none", async () => {
    await using socket = await open();
    socket.send(sh("i=0; while [ $i -lt 2000 ]; do printf 'aé€😀'; i=$((i+1)); done; printf '\\377!'"));
    const frames = await socket.untilType("exec_exit");
    expect(textOf(frames)).toBe(`${"aé€😀".repeat(2000)}\uFFFD!`);
    expect(frames.at(-1)?.["stdout_bytes"]).toBe(20_002);
  });

  it("of 20 MB comes complete, in frames that the vendor's client takes", async () => {
    await using socket = await open();
    socket.send(sh("head -c 20000000 /dev/zero | tr '\\0' 'x'", { timeout_secs: 25 }));
    const frames = await socket.untilType("exec_exit");
    let bytes = 0;
    for (const frame of frames) {
      if (frame["type"] !== "exec_stdout") continue;
      expect(frame["offset"]).toBe(bytes);
      bytes += String(frame["data"]).length;
      expect(String(frame["data"]).length).toBeLessThanOrEqual(65_536);
    }
    expect([bytes, frames.at(-1)?.["stdout_bytes"]]).toEqual([20_000_000, 20_000_000]);
  });

  it("waits for a slow reader, who gets every byte", async () => {
    const count = 1_400_000;
    const expected = Array.from({ length: count }, (_, index) => `ä€😀 ${String(index)}\n`).join("");
    const pulled = countPulled();
    await using socket = await open();
    socket.ws.pause();
    socket.send(sh(`seq -f 'ä€😀 %.0f' 0 ${String(count - 1)}`, { timeout_secs: 25 }));
    // The command itself is through long before anybody reads.
    await eventually("it has written all", async () => {
      const { json } = await api.ask("GET", `/v1/machines/${id}/processes`);
      return (json as unknown as Frame[]).some(
        ({ command, running }) => String(command).includes(String(count - 1)) && running === false,
      );
    });
    // What the system itself holds of a connection is a few megabytes.
    expect(pulled()).toBeLessThan(15_000_000);
    socket.ws.resume();
    const frames = await socket.untilType("exec_exit");
    expect(textOf(frames) === expected).toBe(true);
    expect(pulled()).toBe(Buffer.byteLength(expected));
  });
});

/** Counts the bytes of output that sockets ask the engine for, from now to the end of the test. */
function countPulled(): () => number {
  const { processes } = local.controlPlane;
  const follow = processes.follow.bind(processes);
  let bytes = 0;
  const counted = async function* (events: AsyncIterable<ProcessEvent>) {
    for await (const event of events) {
      if (event.type === "output") bytes += event.data.length;
      yield event;
    }
  };
  processes.follow = async (...asked) => {
    const { from, events } = await follow(...asked);
    return { from, events: counted(events) };
  };
  restore.push(() => (processes.follow = follow));
  return () => bytes;
}

const restore: (() => void)[] = [];
afterEach(() => {
  for (const back of restore.splice(0)) back();
});

describe("stdin", () => {
  it("is written in order, and closed after what was sent before", async () => {
    await using socket = await open();
    const pid = await pidOf(socket, sh("cat"));
    for (let n = 0; n < 200; n++)
      socket.send({ type: "exec_stdin", id: "c1", pid, data: `line ${String(n)} é\n` });
    socket.send({ type: "exec_stdin_close", id: "c1", pid });
    const text = textOf(await socket.untilType("exec_exit"));
    expect(text).toBe(Array.from({ length: 200 }, (_, n) => `line ${String(n)} é\n`).join(""));
  });

  it("of 4 MB goes through a command that reads slowly", async () => {
    await using socket = await open();
    const pid = await pidOf(socket, sh("sleep 0.3; wc -c"));
    for (let n = 0; n < 40; n++)
      socket.send({ type: "exec_stdin", id: "c1", pid, data: "z".repeat(100_000) });
    socket.send({ type: "exec_stdin_close", id: "c1", pid });
    expect(textOf(await socket.untilType("exec_exit")).trim()).toBe("4000000");
  });

  it("of a command that has ended, or never was, is an error", async () => {
    await using socket = await open();
    const pid = await pidOf(socket, sh("true"));
    await socket.untilType("exec_exit");
    expect(await socket.ask({ type: "exec_stdin", id: "in", pid, data: "x" })).toMatchObject({
      ...{ type: "error", id: "in", code: "conflict" },
    });
    for (const type of ["exec_stdin", "exec_stdin_close", "exec_kill", "exec_connect"]) {
      const told = await socket.ask({ type, id: "none", pid: 987_654_321, data: "" });
      expect(told).toMatchObject({ type: "error", id: "none", code: "not_found" });
    }
  });
});

describe("exec_kill", () => {
  it("ends the command with everything that it started: exit code 137, no error", async () => {
    await using socket = await open();
    const pid = await pidOf(socket, sh("sleep 300 & echo $!; wait"));
    const [output] = await socket.untilType("exec_stdout");
    socket.send({ type: "exec_kill", id: "c1", pid });
    const frames = await socket.untilType("exec_exit");
    expect(frames.at(-1)?.["exit_code"]).toBe(137);
    expect(types(frames)).not.toContain("error");
    const child = Number(output?.["data"]);
    await eventually("the child is gone", () => {
      try {
        process.kill(child, 0);
        return false;
      } catch {
        return true;
      }
    });
  });
});

describe("exec_connect", () => {
  it("goes on live, after exec_started with the same pid and where that is", async () => {
    await using first = await open();
    const pid = await pidOf(first, sh("printf one; read line; printf two"));
    await first.untilType("exec_stdout");
    await using second = await open();
    const started = await second.ask({ type: "exec_connect", id: "again", pid });
    expect(started).toMatchObject({
      type: "exec_started",
      id: "again",
      pid,
      stdout_offset: 3,
      stderr_offset: 0,
    });
    second.send({ type: "exec_stdin", id: "again", pid, data: "\n" });
    const frames = await second.untilType("exec_exit");
    expect(textOf(frames, "stdout", 3)).toBe("two");
    expect(textOf(await first.untilType("exec_exit"), "stdout", 3)).toBe("two");
  });

  it("to a command that has ended is exec_started and exec_exit, with all output where it is asked for", async () => {
    await using socket = await open();
    const pid = await pidOf(socket, sh("printf hello; exit 9"));
    await socket.untilType("exec_exit");
    socket.send({ type: "exec_connect", id: "again", pid });
    const live = await socket.untilType("exec_exit");
    expect(types(live)).toEqual(["exec_started", "exec_exit"]);
    socket.send({ type: "exec_connect", id: "from", pid, stdout_offset: 2, stderr_offset: 0 });
    const frames = await socket.untilType("exec_exit");
    expect(frames[0]).toMatchObject({ type: "exec_started", stdout_offset: 2, stderr_offset: 0 });
    expect(textOf(frames, "stdout", 2)).toBe("llo");
    expect(frames.at(-1)).toMatchObject({ exit_code: 9, stdout_bytes: 5 });
  });

  it("brings each byte once when the socket is cut at every frame", async () => {
    const command =
      "i=0; while [ $i -lt 40 ]; do echo line-$i; echo err-$i >&2; sleep 0.005; i=$((i+1)); done";
    const got = { stdout: "", stderr: "" };
    let pid: number | undefined;
    let exit: Frame | undefined;
    for (let cuts = 0; !exit; cuts++) {
      const socket = await open();
      const { stdout, stderr } = got;
      if (pid === undefined) socket.send(sh(command));
      else {
        const offsets = {
          stdout_offset: Buffer.byteLength(stdout),
          stderr_offset: Buffer.byteLength(stderr),
        };
        socket.send({ type: "exec_connect", id: "c1", pid, ...offsets });
      }
      // The frames of the attempt: one more than the start itself, so that it gets on.
      for (let taken = 0; taken < 2 && !exit; taken++) {
        const frame = await socket.next();
        if (!frame) throw new Error("closed by the server");
        if (frame["type"] === "exec_started") pid = Number(frame["pid"]);
        if (frame["type"] === "exec_exit") exit = frame;
        for (const stream of ["stdout", "stderr"] as const) {
          if (frame["type"] !== `exec_${stream}`) continue;
          expect(frame["offset"]).toBe(got[stream].length);
          got[stream] += String(frame["data"]);
        }
      }
      socket.cut();
      await socket.closed;
      expect(cuts).toBeLessThan(500);
    }
    const lines = (word: string) => Array.from({ length: 40 }, (_, n) => `${word}-${String(n)}\n`).join("");
    expect(got).toEqual({ stdout: lines("line"), stderr: lines("err") });
    expect(exit).toMatchObject({
      exit_code: 0,
      stdout_bytes: got.stdout.length,
      stderr_bytes: got.stderr.length,
    });
  });
});

describe("a command", () => {
  it("goes on when its socket is lost", async () => {
    const socket = await open();
    const pid = await pidOf(socket, sh("read line; echo got $line"));
    socket.cut();
    await socket.closed;
    await using again = await open();
    again.send({ type: "exec_connect", id: "c2", pid, stdout_offset: 0 });
    again.send({ type: "exec_stdin", id: "c2", pid, data: "it\n" });
    expect(textOf(await again.untilType("exec_exit"))).toBe("got it\n");
  });

  it("that its machine takes with it ends with an error that says so, and its exit code", async () => {
    const machine = await api.machine({ timeout_action: "hibernate" });
    await using socket = await open(machine);
    await pidOf(socket, sh("echo up; sleep 300", { timeout_secs: 0 }));
    await socket.untilType("exec_stdout");
    await api.ask("POST", `/v1/machines/${machine}/hibernate`);
    const frames = await socket.untilType("exec_exit");
    expect(types(frames)).toEqual(["error", "exec_exit"]);
    expect(frames[0]).toMatchObject({ id: "c1", code: "exec_failed" });
    expect(frames[1]).toMatchObject({ exit_code: 137, error_code: "MACHINE_STOPPED" });
    // Nothing may wake it: its lease does not say so.
    const refused = await socket.ask(sh("true", { id: "c2" }));
    expect(refused).toMatchObject({ type: "error", id: "c2", code: "machine_not_ready" });
    await api.ask("DELETE", `/v1/machines/${machine}`);
    expect(await socket.ask(sh("true", { id: "c3" }))).toMatchObject({ code: "machine_not_found" });
  });

  it("wakes a machine whose lease says so", async () => {
    const machine = await api.machine({ timeout_action: "hibernate", auto_resume: true });
    await api.ask("POST", `/v1/machines/${machine}/hibernate`);
    await using socket = await open(machine);
    socket.send(sh("echo awake"));
    expect(textOf(await socket.untilType("exec_exit"))).toBe("awake\n");
    expect(await api.statusOf(machine)).toBe("running");
    await api.ask("DELETE", `/v1/machines/${machine}`);
  });
});

it("the end of the control plane closes the socket with 1001, and the command is found again by its pid", async () => {
  const stateDir = mkdtempSync(join(tmpdir(), "machines-sockets-"));
  const first = await startLocal({ driver: "process", stateDir, port: 0, apiKey: "key-of-the-test" });
  const machine = await new Api(first).machine();
  const socket = await TestSocket.open(first, `/v1/machines/${machine}/ws?channel=exec`);
  const pid = await pidOf(socket, sh("echo one; read line; echo two $line"));
  await socket.untilType("exec_stdout");
  const closing = first.close();
  expect(await socket.closed).toMatchObject({ code: 1001 });
  await closing;
  const second = await startLocal({ driver: "process", stateDir, port: 0, apiKey: "key-of-the-test" });
  const again = await TestSocket.open(second, `/v1/machines/${machine}/ws?channel=exec`);
  again.send({ type: "exec_connect", id: "c1", pid, stdout_offset: 4, stderr_offset: 0 });
  again.send({ type: "exec_stdin", id: "c1", pid, data: "x\n" });
  expect(textOf(await again.untilType("exec_exit"), "stdout", 4)).toBe("two x\n");
  await again[Symbol.asyncDispose]();
  await new Api(second).ask("DELETE", `/v1/machines/${machine}`);
  await second.close();
  rmSync(stateDir, { recursive: true, force: true });
});
