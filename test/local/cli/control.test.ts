/** `machines-local` status, stop, logs and start --detach, as a user runs them. */
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startLocal } from "../../../local/src/start-local";
import { buildOnce, Cli } from "./cli-process";
import { createMachine, reach } from "./dcs";

beforeAll(buildOnce, 120_000);

let cli: Cli;
beforeEach(() => {
  cli = new Cli();
});
afterEach(async () => {
  await cli.cleanUp();
});

test("status says where it runs and with how many machines, and shows the key only when asked", async () => {
  const { process, ready } = await cli.start();
  const { machine_id } = await createMachine(ready);
  await reach(ready, machine_id, "running");

  const plain = await cli.run(["status"]);
  expect(plain.code).toBe(0);
  expect(plain.stdout).toContain(ready.dedalus);
  expect(plain.stdout).not.toContain(ready.apiKey);

  const json = await cli.run(["status", "--json"]);
  const { url, dedalus, nullspace, apiKey } = ready;
  const facts = { running: true, driver: "null", notEnforced: [], machines: 1, pid: process.child.pid };
  expect(JSON.parse(json.stdout)).toMatchObject({ ...facts, url, dedalus, nullspace });
  expect(JSON.parse(json.stdout)).toHaveProperty("uptimeSeconds");
  expect(json.stdout).not.toContain(apiKey);

  const withKey = await cli.run(["status", "--json", "--show-key"]);
  expect(JSON.parse(withKey.stdout)).toMatchObject({ apiKey });
});

test("status has exit code 1 where nothing runs, and says how to start", async () => {
  const { code, stdout } = await cli.run(["status"]);
  expect(code).toBe(1);
  expect(stdout).toContain("machines-local start");
  const json = await cli.run(["status", "--json"]);
  expect([json.code, JSON.parse(json.stdout)]).toMatchObject([1, { running: false, stateDir: cli.state }]);
});

test("stop ends it and waits until it has ended; a second stop finds nothing", async () => {
  const { process } = await cli.start();
  const { code, stdout } = await cli.run(["stop"]);
  expect([code, stdout]).toEqual([0, expect.stringMatching(/^Stopped/)]);
  expect((await process.ended).code).toBe(0);
  const again = await cli.run(["stop"]);
  expect([again.code, again.stdout]).toEqual([0, expect.stringMatching(/^No control plane runs on/)]);
});

test("stop does not signal a program that hosts a control plane, or one that a stale file names", async () => {
  const hosted = await startLocal({ stateDir: cli.state, port: 0, driver: "null" });
  const { code, stderr } = await cli.run(["stop"]);
  expect(code).toBe(1);
  expect(stderr).toContain(`runs inside another program (process ${String(process.pid)})`);
  await hosted.close();
  // This process is named in holder.json still, and would be ended by a stop that believed it.
  expect((await cli.run(["stop"])).stdout).toMatch(/^No control plane runs on/);
});

test("faults puts a script in force, shows it, and ends it", async () => {
  await cli.start();
  expect((await cli.run(["faults"])).stdout).toBe("No faults are in force.\n");
  const file = join(cli.state, "faults.json");
  const rule = {
    on: "start",
    times: 1,
    fail: { reason: "image_missing", lastError: "no image", retryable: false },
  };
  writeFileSync(file, JSON.stringify({ rules: [rule] }));
  const put = await cli.run(["faults", file]);
  expect([put.code, put.stdout]).toEqual([0, expect.stringMatching(/^1 rule in force, counted from now/)]);
  expect((await cli.run(["faults"])).stdout).toContain("image_missing");
  const both = await cli.run(["faults", file, "--clear"]);
  expect([both.code, both.stderr]).toEqual([1, expect.stringContaining("not both")]);
  expect((await cli.run(["faults", "--clear"])).stdout).toBe("No faults are in force.\n");
});

test("faults says which rule of a script is wrong, and what to do where nothing runs", async () => {
  const file = join(cli.state, "faults.json");
  mkdirSync(cli.state, { recursive: true });
  writeFileSync(file, '{ "rules": [{ "on": "sometimes" }] }');
  expect((await cli.run(["faults", file])).stderr).toMatch(/rule 1 \(on: sometimes\)/);
  const none = await cli.run(["faults"]);
  expect([none.code, none.stderr]).toEqual([1, expect.stringContaining("machines-local start --detach")]);
});

test("logs shows what happened, for people, without the key", async () => {
  const { ready } = await cli.start();
  await createMachine(ready);
  const { code, stdout } = await cli.run(["logs"]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^\d{4}-\d\d-\d\dT\S+ warn .*null driver/m);
  expect(stdout).toMatch(/POST \/dedalus\/v1\/machines 202/);
  expect(stdout).not.toContain(ready.apiKey);
  const last = await cli.run(["logs", "--lines", "1"]);
  expect(last.stdout.trim().split("\n")).toHaveLength(1);
  expect((await cli.run(["logs", "--lines", "0"])).stdout).toBe("");
  expect((await cli.run(["logs", "--lines", "few"])).stderr).toContain("argument 'few' is invalid");
});

test("logs --follow goes on with what comes", async () => {
  const { ready } = await cli.start();
  const following = cli.spawn(["logs", "--follow", "--lines", "1"]);
  await following.says(/\n/);
  await createMachine(ready);
  await following.says(/POST \/dedalus\/v1\/machines 202/);
});

test("logs does not complain when its reader leaves early", async () => {
  const folder = join(cli.state, "log");
  mkdirSync(folder, { recursive: true });
  const line = '{"level":30,"time":"2026-01-01T00:00:00.000Z","msg":"again"}\n';
  appendFileSync(join(folder, "control-plane.log"), line.repeat(200_000));
  const reading = cli.spawn(["logs", "--lines", "200000"]);
  await reading.says(/again/);
  reading.child.stdout?.destroy();
  const { code, stderr } = await reading.ended;
  expect([code, stderr]).toEqual([0, ""]);
});

test("logs shows a line that a crash cut short as it is, and says where there is no log", async () => {
  const none = await cli.run(["logs"]);
  expect([none.code, none.stderr]).toEqual([1, expect.stringContaining(cli.state)]);
  const folder = join(cli.state, "log");
  mkdirSync(folder, { recursive: true });
  appendFileSync(
    join(folder, "control-plane.log"),
    '{"level":30,"time":"2026-01-01T00:00:00.000Z","msg":"one"}\n{"lev\n',
  );
  const { stdout } = await cli.run(["logs"]);
  expect(stdout).toBe('2026-01-01T00:00:00.000Z info  one\n{"lev\n');
});

test("start --detach returns when it is ready, and leaves it running", async () => {
  const args = ["start", "--detach", "--json", "--port", "0", "--driver", "null"];
  const { code, stdout, stderr } = await cli.run(args);
  expect(code).toBe(0);
  expect(stderr).toMatch(/null driver runs nothing/);
  const ready = JSON.parse(stdout) as { url: string; dedalus: string; apiKey: string };
  await createMachine(ready);
  const status = await cli.run(["status", "--json"]);
  expect([status.code, JSON.parse(status.stdout)]).toMatchObject([0, { url: ready.url, machines: 1 }]);

  const second = await cli.run(args);
  expect([second.code, second.stdout]).toEqual([1, ""]);
  expect(second.stderr).toContain(ready.url);
  expect((await cli.run(["stop"])).code).toBe(0);
});

test("the command line of a process in the background does not hold the key", async () => {
  const key = "not-for-other-users";
  const args = ["start", "--detach", "--port", "0", "--driver", "null", "--json"];
  const { stdout } = await cli.run(args, { env: { MACHINES_LOCAL_API_KEY: key } });
  expect(JSON.parse(stdout)).toMatchObject({ apiKey: key });
  const { pid } = JSON.parse((await cli.run(["status", "--json"])).stdout) as { pid: number };
  expect(readFileSync(`/proc/${String(pid)}/cmdline`, "utf8")).not.toContain(key);
});
