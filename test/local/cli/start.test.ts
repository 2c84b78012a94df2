/** `machines-local start`, as a user runs it. */
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { once } from "node:events";
import { join } from "node:path";
import { freePort } from "../../support/postgres";
import { binary, buildOnce, Cli } from "./cli-process";
import { call, createMachine, openStatus, reach } from "./dcs";

beforeAll(buildOnce, 120_000);

let cli: Cli;
beforeEach(() => {
  cli = new Cli();
});
afterEach(async () => {
  await cli.cleanUp();
});

const mode = (path: string) => (statSync(path).mode & 0o777).toString(8);
const endpointFile = () =>
  JSON.parse(readFileSync(join(cli.state, "endpoint.json"), "utf8")) as Record<string, unknown>;

test("start --json prints one line when ready, and nothing else on its output", async () => {
  const { process, ready } = await cli.start();
  expect(ready).toEqual({
    event: "ready",
    url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/) as string,
    dedalus: `${ready.url}/dedalus`,
    nullspace: `${ready.url}/nullspace`,
    apiKey: expect.stringMatching(/^\S{20,}$/) as string,
  });
  await createMachine(ready);
  const { code, stdout, stderr } = await process.kill("SIGTERM");
  expect(code).toBe(0);
  expect(stdout.split("\n")).toHaveLength(2);
  expect(stderr).not.toMatch(/Experimental/);
  expect(stderr).toMatch(/null driver runs nothing/);
});

test("everything it keeps is for its owner only, and the endpoint file says how it is reached", async () => {
  const { process, ready } = await cli.start();
  const names = ["", "api-key", "endpoint.json", "holder.json", "log", "log/control-plane.log"];
  expect(names.map((name) => mode(join(cli.state, name)))).toEqual([
    "700",
    "600",
    "600",
    "600",
    "700",
    "600",
  ]);
  const { url, dedalus, nullspace, apiKey } = ready;
  expect(endpointFile()).toMatchObject({
    url,
    dedalus,
    nullspace,
    apiKey,
    pid: process.child.pid,
    version: "0.1.0",
  });
  expect(readFileSync(join(cli.state, "api-key"), "utf8").trim()).toBe(apiKey);
});

test("SIGTERM stops it cleanly; the next start has the same key and finds the machines", async () => {
  const first = await cli.start();
  const { machine_id } = await createMachine(first.ready);
  await reach(first.ready, machine_id, "running");
  expect((await first.process.kill("SIGTERM")).code).toBe(0);
  expect(existsSync(join(cli.state, "endpoint.json"))).toBe(false);

  const second = await cli.start();
  expect(second.ready.apiKey).toBe(first.ready.apiKey);
  await reach(second.ready, machine_id, "running");
  expect(await call(second.ready, "GET", `/v1/machines/${machine_id}`)).toMatchObject({
    desired_state: "running",
  });
});

test("Ctrl-C stops it cleanly, also while a status stream is open", async () => {
  const script = join(cli.home, "faults.json");
  writeFileSync(script, JSON.stringify({ rules: [{ on: "start", stallMs: 600_000 }] }));
  const { process, ready } = await cli.start(["--faults", script]);
  const { machine_id } = await createMachine(ready);
  const seen = await reach(ready, machine_id, "starting");
  const stream = await openStatus(ready, machine_id, { after: seen.at(-1)?.id });
  expect((await process.kill("SIGINT")).code).toBe(0);
  expect(await stream.events).toEqual([]);
});

test("a second start on the same state folder says who holds it", async () => {
  const { process, ready } = await cli.start();
  const second = await cli.run(["start", "--port", "0", "--driver", "null"]);
  expect(second.code).toBe(1);
  expect(second.stderr).toContain(`process ${String(process.child.pid)}`);
  expect(second.stderr).toContain(ready.url);
  expect(second.stderr).toContain("machines-local stop --state");
  expect(endpointFile()).toMatchObject({ url: ready.url });
});

test("a kill -9 leaves nothing that keeps the next start from working", async () => {
  const first = await cli.start();
  await first.process.kill("SIGKILL");
  expect(endpointFile()).toMatchObject({ url: first.ready.url });
  const status = await cli.run(["status", "--json"]);
  expect([status.code, JSON.parse(status.stdout)]).toMatchObject([1, { running: false }]);
  const second = await cli.start();
  expect(endpointFile()).toMatchObject({ url: second.ready.url, pid: second.process.child.pid });
});

test("a port in use is said, with what to do", async () => {
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  const { port } = other.address() as { port: number };
  const { code, stdout, stderr } = await cli.run(["start", "--port", String(port), "--driver", "null"]);
  other.close();
  expect([code, stdout]).toEqual([1, ""]);
  expect(stderr).toContain(`port ${String(port)} of 127.0.0.1 is in use`);
  expect(stderr).toContain("--port 0");
  expect(stderr).not.toMatch(/ at .*\.js:\d+/);
  // The state folder was let go of.
  expect((await cli.start()).ready.event).toBe("ready");
});

test("a port that is asked for is used", async () => {
  const port = await freePort();
  const started = cli.spawn(["start", "--json", "--driver", "null", "--port", String(port)]);
  expect((await started.ready()).url).toBe(`http://127.0.0.1:${String(port)}`);
});

test("a fault script with mistakes is refused, each with its rule", async () => {
  const script = join(cli.home, "faults.json");
  const rules = [
    { on: "stop" },
    { on: "start", fail: { reason: "no_luck" } },
    { on: "strat" },
    { on: "stop", stalMs: 1 },
  ];
  writeFileSync(script, JSON.stringify({ rules }));
  const { code, stderr } = await cli.run(["start", "--faults", script]);
  expect(code).toBe(1);
  expect(stderr).toContain(script);
  expect(stderr).toContain("rule 2 (on: start): fail.lastError: expected string");
  expect(stderr).toContain("rule 3 (on: strat): on: use one of place, start, stop");
  expect(stderr).toContain("rule 4 (on: stop): unknown: stalMs");
  expect(stderr).not.toContain("rule 1");
  expect(existsSync(cli.state)).toBe(false);
});

test.each([
  ["a fault script that is not there", ["--faults", "/nowhere/faults.json"], /\/nowhere\/faults\.json/],
  ["a port that is none", ["--port", "http"], /0 to 65535/],
  ["a capacity of unknown things", ["--capacity", "cores=3"], /"cores=3".*vcpu, memory/],
  ["a duration that is none", ["--sleep-hold-window", "soon"], /"soon" is not a duration/],
  ["a driver that does not exist", ["--driver", "vmware"], /auto, sandbox, process, null/],
  [
    "a key with a space",
    ["--port", "0", "--driver", "null", "--api-key", "open sesame"],
    /apiKey.*without spaces/,
  ],
])("%s is refused with what would be right", async (_name, args, words) => {
  const { code, stdout, stderr } = await cli.run(["start", ...args]);
  expect([code, stdout]).toEqual([1, ""]);
  expect(stderr).toMatch(words);
  expect(stderr).not.toContain("open sesame");
});

test("a database that cannot be reached is said without its password", async () => {
  const env = { DATABASE_URL: "postgres://machines:sesame@127.0.0.1:1/machines" };
  const { code, stderr } = await cli.spawn(["start", "--port", "0", "--driver", "null"], { env }).ended;
  expect(code).toBe(1);
  expect(stderr).toMatch(/the database of DATABASE_URL cannot be used: .*ECONNREFUSED/);
  expect(stderr).not.toContain("sesame");
});

test("a key from the environment is the one that counts, and no log has it", async () => {
  const { ready } = await cli.start([], { MACHINES_LOCAL_API_KEY: "from-the-environment" });
  expect(ready.apiKey).toBe("from-the-environment");
  await createMachine(ready);
  expect(readFileSync(join(cli.state, "log/control-plane.log"), "utf8")).not.toContain(ready.apiKey);
});

test("listening on more than loopback prints a warning", async () => {
  const { process, ready } = await cli.start(["--host", "0.0.0.0"]);
  expect(ready.url).toMatch(/^http:\/\/127\.0\.0\.1:/);
  expect((await process.kill("SIGTERM")).stderr).toMatch(
    /Listening on 0\.0\.0\.0: whoever reaches this host/,
  );
});

test("capacity, the sleep hold window and the flat phase reach the control plane", async () => {
  const { ready } = await cli.start([
    "--capacity",
    "vcpu=2,memory=1024",
    "--sleep-hold-window",
    "300s",
    "--flat-phase",
  ]);
  const big = await call(ready, "POST", "/v1/machines", { vcpu: 4, memory_mib: 512, storage_gib: 1 });
  const failed = await reach(ready, big.machine_id, "failed");
  expect(failed.at(-1)?.machine.status.reason).toBe("insufficient_capacity");
  const small = await createMachine(ready);
  expect(small).toMatchObject({ phase: "accepted" });
  await reach(ready, small.machine_id, "running");
  await call(ready, "POST", `/v1/machines/${small.machine_id}/sleep`);
  await reach(ready, small.machine_id, "sleeping");
  await call(ready, "POST", `/v1/machines/${small.machine_id}/wake`);
  await reach(ready, small.machine_id, "running");
  await expect(call(ready, "POST", `/v1/machines/${small.machine_id}/sleep`)).rejects.toThrow(
    /SLEEP_HOLD_WINDOW_ACTIVE/,
  );
});

test("a Node that is too old is told so, and nothing else happens", async () => {
  const pretend = `Object.defineProperty(process, "versions", { value: { node: "20.1.0" } }); require(${JSON.stringify(binary)})`;
  const { code, stdout, stderr } = await cli.spawnNode(["-e", pretend]).ended;
  expect([code, stdout]).toEqual([1, ""]);
  expect(stderr).toMatch(/needs Node\.js 22\.13 or newer; this is 20\.1\.0/);
});
