/** Commands over HTTP, in real machines: foreground, background, fed, ended, listed, and their logs. */
import { readFileSync } from "node:fs";
import type { Local } from "../../../local/src/start-local";
import { statePaths } from "../../../local/src/state-folder";
import { Api, eventually, locations, startTestLocal, told } from "./control-plane";

let local: Local;
let api: Api;
let id: string;
beforeAll(async () => {
  local = await startTestLocal({ driver: "auto" });
  api = new Api(local);
  id = await api.machine({ envs: { GREETING: "hello", SHARED: "machine" }, cwd: "/usr" });
});
afterAll(() => local.close());

const exec = (body: Record<string, unknown>) => api.ask("POST", `/v1/machines/${id}/exec`, { body });
const shell = (command: string, more: Record<string, unknown> = {}) =>
  exec({ command, shell: true, background: false, ...more });
const background = async (command: string): Promise<number> =>
  Number((await shell(command, { background: true })).json["pid"]);
const processes = async () =>
  (await api.ask("GET", `/v1/machines/${id}/processes`)).json as unknown as Record<string, unknown>[];
const logs = async (pid: number) =>
  (await api.ask("GET", `/v1/machines/${id}/processes/${String(pid)}/logs`)).json;
const send = (pid: number, data: string) =>
  api.ask("POST", `/v1/machines/${id}/processes/${String(pid)}/stdin`, { body: { data } });
const kill = (pid: number) => api.ask("POST", `/v1/machines/${id}/processes/${String(pid)}/kill`);

describe("a foreground command", () => {
  it("answers both its outputs and its exit code, which may be any", async () => {
    const answer = await shell("echo out; echo err >&2; exit 3");
    expect(answer.json).toEqual({
      exit_code: 3,
      stdout: "out\n",
      stderr: "err\n",
      pid: expect.any(Number) as unknown,
    });
  });

  it("without a shell is a program and its arguments, never split", async () => {
    const answer = await exec({ command: "printf", args: ["%s|", "a b", "$HOME", "", "ä"] });
    expect(answer.json).toMatchObject({ exit_code: 0, stdout: "a b|$HOME||ä|" });
    expect((await shell('echo "$0-$1-$2"', { args: ["x y", "z"] })).json["stdout"]).toBe("sh-x y-z\n");
  });

  it("has the machine's variables and folder, and its own before them", async () => {
    const command = 'echo "$GREETING $SHARED $(pwd)"';
    expect((await shell(command)).json["stdout"]).toBe("hello machine /usr\n");
    const own = await shell(command, { envs: { SHARED: "own" }, cwd: "/tmp" });
    expect(own.json["stdout"]).toBe("hello own /tmp\n");
  });

  it("whose program is not there exits as at a prompt", async () => {
    const answer = await exec({ command: "no-such-program" });
    expect(answer.json).toMatchObject({ exit_code: 127, stdout: "" });
    expect(answer.json["stderr"]).toContain("no-such-program");
  });

  it("that cannot be started is 502, in the system's words", async () => {
    const answer = await exec({ command: "true", cwd: "/no/such/folder" });
    expect(told(answer)).toEqual([502, "exec_failed"]);
    expect(answer.json["error"]).toContain("/no/such/folder");
  });

  it("that runs for too long is killed and 504, with what it wrote", async () => {
    const answer = await shell("echo begun; sleep 60", { timeout_secs: 1 });
    expect(told(answer)).toEqual([504, "exec_timeout"]);
    expect(answer.json["details"]).toMatchObject({
      stdout: "begun\n",
      stderr: "",
      pid: expect.any(Number) as unknown,
    });
    const { pid } = answer.json["details"] as { pid: number };
    expect((await processes()).find((one) => one["pid"] === pid)).toMatchObject({ running: false });
  });

  it("ended by a signal exits with 128 and the signal", async () => {
    expect((await shell("kill -TERM $$")).json["exit_code"]).toBe(143);
  });

  it("runs on when its client goes away, and its logs are kept", async () => {
    const gone = new AbortController();
    const command = "touch /tmp/begun; until [ -e /tmp/go ]; do sleep 0.02; done; echo went on";
    const left = api.ask("POST", `/v1/machines/${id}/exec`, {
      body: { command, shell: true, timeout_secs: 0 },
      signal: gone.signal,
    });
    left.catch(() => undefined);
    const find = async () => (await processes()).find((one) => one["command"] === command);
    // When a later command has been answered, the start of this one is over.
    await shell("until [ -e /tmp/begun ]; do sleep 0.02; done");
    gone.abort();
    await expect(left).rejects.toThrow("abort");
    await shell("touch /tmp/go");
    const pid = Number((await find())?.["pid"]);
    await eventually("it ends by itself", async () => (await logs(pid))["exit_code"] === 0);
    expect((await logs(pid))["stdout"]).toBe("went on\n");
  });

  it.each([
    ["nothing", {}, ["body.command"]],
    ["an empty command", { command: "" }, ["body.command"]],
    ["a null byte", { command: "a\0", args: ["\0"] }, ["body.args.0", "body.command"]],
    ["a list", { command: ["a"] }, ["body.command"]],
    ["a relative folder", { command: "a", cwd: "b" }, ["body.cwd"]],
    ["a bad name", { command: "a", envs: { "1A": "" } }, ["body.envs.1A"]],
    ["a negative time", { command: "a", timeout_secs: -1 }, ["body.timeout_secs"]],
    ["a time beyond every timer", { command: "a", timeout_secs: 2_147_484 }, ["body.timeout_secs"]],
    ["an unknown member", { command: "a", stdin: "b" }, ["body.stdin"]],
  ])("with %s is refused", async (_name, body, places) => {
    const answer = await exec(body);
    expect([told(answer), locations(answer)]).toEqual([[400, "invalid_request"], places]);
  });
});

describe("a background command", () => {
  it("answers its pid alone, is listed, fed over and over, and ended with all it started", async () => {
    const answer = await shell("cat & wait", { background: true });
    expect([answer.status, Object.keys(answer.json)]).toEqual([200, ["pid"]]);
    await kill(Number(answer.json["pid"]));

    const pid = await background("while read line; do echo got $line; done; sleep 600 & wait");
    expect((await processes()).find((one) => one["pid"] === pid)).toEqual({
      pid,
      command: "while read line; do echo got $line; done; sleep 600 & wait",
      running: true,
    });
    await send(pid, "one\n");
    await send(pid, "zwölf\n");
    await eventually("it answers", async () => String((await logs(pid))["stdout"]).includes("zwölf"));
    const running = await logs(pid);
    expect(running).toMatchObject({
      stdout: "got one\ngot zwölf\n",
      stderr: "",
      output: "got one\ngot zwölf\n",
    });
    expect(running).not.toHaveProperty("exit_code");
    expect([(await kill(pid)).status, (await kill(pid)).status]).toEqual([204, 204]);
    expect(await logs(pid)).toMatchObject({
      stdout: "got one\ngot zwölf\n",
      exit_code: 137,
      stdout_dropped: 0,
    });
    expect(told(await send(pid, "more"))).toEqual([409, "conflict"]);
  });

  it("has no timeout", async () => {
    const answer = await shell("sleep 2; echo done", { background: true, timeout_secs: 1 });
    const pid = Number(answer.json["pid"]);
    await eventually("it ends by itself", async () => (await logs(pid))["exit_code"] === 0);
    expect((await logs(pid))["stdout"]).toBe("done\n");
  });

  it("shows in the other dialect as an execution", async () => {
    const pid = await background("echo shown; exit 4");
    await eventually("it ends", async () => (await logs(pid))["exit_code"] === 4);
    const response = await fetch(
      `${local.dedalus}/v1/machines/${id.replace("mch_", "dm-")}/executions?limit=1`,
      {
        headers: { authorization: `Bearer ${local.apiKey}` },
      },
    );
    const { items } = (await response.json()) as { items: Record<string, unknown>[] };
    expect(items[0]).toMatchObject({ command: ["/bin/sh", "-c", "echo shown; exit 4", "sh"], exit_code: 4 });
  });
});

it.each(["0", "-1", "x", "999999999999999999999", "123456"])("process %s is none", async (pid) => {
  for (const [method, path, body] of [
    ["GET", "logs", undefined],
    ["POST", "kill", undefined],
    ["POST", "stdin", { data: "" }],
  ] as const) {
    const answer = await api.ask(method, `/v1/machines/${id}/processes/${pid}/${path}`, { body });
    expect(told(answer)).toEqual([404, "not_found"]);
  }
});

describe("a terminal", () => {
  it("is listed while it runs, resized and ended", async () => {
    const { processes: engine } = local.controlPlane;
    const terminal = { cols: 80, rows: 24 };
    const signal = AbortSignal.timeout(10_000);
    const { pid, terminal: made } = await engine.start(
      id.slice(4),
      { command: ["/bin/sh"], terminal },
      signal,
    );
    const sid = String(made?.sessionId);
    const shown = { session_id: sid, pid, ...terminal, exec_id: expect.any(String) as unknown };
    expect((await api.ask("GET", `/v1/machines/${id}/pty`)).json).toEqual([shown]);
    const path = `/v1/machines/${id}/pty/${sid}`;
    expect((await api.ask("GET", path)).json).toEqual(shown);
    const size = { cols: 132, rows: 43 };
    expect((await api.ask("POST", `${path}/resize`, { body: size })).status).toBe(204);
    expect((await api.ask("GET", path)).json).toMatchObject(size);
    for (const body of [{}, { cols: 0, rows: 1 }, { cols: 1, rows: 1.5 }]) {
      expect(told(await api.ask("POST", `${path}/resize`, { body }))).toEqual([400, "invalid_request"]);
    }
    expect((await api.ask("DELETE", path)).status).toBe(204);
    for (const method of ["GET", "DELETE"]) {
      expect(told(await api.ask(method, path))).toEqual([404, "not_found"]);
    }
    expect((await api.ask("GET", `/v1/machines/${id}/pty`)).json).toEqual([]);
    expect(told(await api.ask("GET", `/v1/machines/${id}/pty/none`))).toEqual([404, "not_found"]);
  });
});

it("use is measured", async () => {
  const { json } = await api.ask("GET", `/v1/machines/${id}/metrics`);
  expect(json).toHaveLength(1);
  expect((json as unknown as Record<string, unknown>[])[0]).toMatchObject({
    ...{ cpu_count: 1, mem_total_bytes: 256 * 1_048_576, disk_total_bytes: 10 * 1024 * 1_048_576 },
  });
});

it("a command in a machine that sleeps wakes it only where its lease says so", async () => {
  const plain = await api.machine();
  const waking = await api.machine({ timeout_action: "hibernate", auto_resume: true });
  for (const machine of [plain, waking]) {
    expect((await api.ask("POST", `/v1/machines/${machine}/hibernate`)).status).toBe(200);
  }
  const run = (machine: string) =>
    api.ask("POST", `/v1/machines/${machine}/exec`, { body: { command: "echo", args: ["awake"] } });
  expect(told(await run(plain))).toEqual([409, "machine_not_ready"]);
  expect((await run(waking)).json).toMatchObject({ stdout: "awake\n", exit_code: 0 });
  expect(await api.statusOf(waking)).toBe("running");
});

it("variables of machines and commands are not in the log", () => {
  const log = readFileSync(statePaths(local.stateDir).log, "utf8");
  expect(log).not.toContain("GREETING");
  expect(log.split("\n").filter((line) => line.includes('"level":50'))).toEqual([]);
});
