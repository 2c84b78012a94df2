/** The vendor's own command line, unchanged, against the embedded control plane. */
import { execFile, spawn } from "node:child_process";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import type { Local } from "../../local/src/start-local";
import { startTestLocal } from "../local/dedalus/control-plane";
import { pythonWithClients } from "./python-environment";

const run = promisify(execFile);
let local: Local;
let python: string;
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  local = await startTestLocal({ driver: "auto", allowHttpWebhooks: true });
  python = await pythonWithClients();
  env = {
    PATH: process.env["PATH"],
    HOME: local.stateDir,
    NULLSPACE_API_URL: local.nullspace,
    NULLSPACE_API_KEY: local.apiKey,
  };
}, 300_000);
afterAll(() => local.close());

/** A virtual environment that was moved: its scripts run under its interpreter by name. */
const program = (): string => join(dirname(python), "nullspace");

interface Ended {
  exitCode: number;
  stdout: string;
  stderr: string;
}

async function cli(args: string[], stdin = ""): Promise<Ended> {
  const running = run(python, [program(), ...args], { env });
  running.child.stdin?.end(stdin);
  return running.then(
    ({ stdout, stderr }) => ({ exitCode: 0, stdout, stderr }),
    ({ code, stdout, stderr }: { code: number; stdout: string; stderr: string }) => ({
      ...{ exitCode: code, stdout, stderr },
    }),
  );
}

async function said(...args: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await cli(args);
  if (exitCode !== 0)
    throw new Error(`nullspace ${args.join(" ")}: exit code ${String(exitCode)}: ${stderr}`);
  return stdout;
}

const json = async <T = Record<string, unknown>>(...args: string[]): Promise<T> =>
  JSON.parse(await said(...args)) as T;

let id: string;

test("creates and shows a machine", async () => {
  const args = ["--vcpus", "1", "--memory", "512", "--timeout", "600", "--metadata", "team=blue"];
  const made = await json("machine", "create", ...args, "--on-timeout", "pause", "--auto-resume");
  id = made["id"] as string;
  expect(made).toMatchObject({ status: "running", metadata: { team: "blue" } });
  expect(await json("machine", "get", id, "--json")).toMatchObject({ id, status: "running" });
  expect(await said("machine", "list", "--metadata", "team=blue")).toContain(id);
  expect(await json("machine", "timeout", "set", id, "--seconds", "900")).toMatchObject({
    timeout_ms: 900_000,
  });
  expect(await said("machine", "metrics", id)).toContain("CPU");
}, 60_000);

test("runs commands, in the background too", async () => {
  expect(
    await cli(["machine", "exec", id, "--", "sh", "-c", "echo out; echo err >&2; exit 3"]),
  ).toMatchObject({
    ...{ exitCode: 3, stdout: "out\n", stderr: "err\n" },
  });
  const streamed = await cli(["machine", "process", "stream", id, "sh", "--", "-c", "echo one; echo two"]);
  expect(streamed.stdout).toContain("one\ntwo");
  const started = await json(
    "machine",
    "exec",
    id,
    "--background",
    "--json",
    "--",
    "sh",
    "-c",
    "echo back; cat",
  );
  const pid = String(started["pid"]);
  expect(await said("machine", "process", "list", id)).toContain(pid);
  expect(await cli(["machine", "process", "stdin", id, pid], "to you\n")).toMatchObject({ exitCode: 0 });
  await said("machine", "process", "kill", id, pid);
  expect(await said("machine", "process", "logs", id, pid)).toContain("back");
}, 60_000);

test("reads and writes files", async () => {
  expect(await cli(["machine", "file", "write", id, "/root/note.txt"], "from standard input")).toMatchObject({
    exitCode: 0,
  });
  expect(await said("machine", "file", "read", id, "/root/note.txt")).toContain("from standard input");
  expect(await said("machine", "file", "list", id, "/root")).toContain("note.txt");
  await said("machine", "upload", id, __filename, "/root/this-test.ts");
  expect(await said("machine", "file", "find", id, "/root", "command line, unchanged")).toContain(
    "this-test.ts",
  );
}, 60_000);

test("snapshots, forks, hibernates and resumes", async () => {
  const snapshot = await json("machine", "snapshot", "create", id);
  const snapshotId = snapshot["id"] as string;
  expect(await said("snapshot", "list")).toContain(snapshotId.slice(0, 12));
  const fork = (await json("machine", "fork", id))["id"] as string;
  expect(await said("machine", "file", "read", fork, "/root/note.txt")).toContain("from standard input");
  await said("machine", "kill", fork);
  await json("machine", "hibernate", id);
  expect(await json("machine", "get", id, "--json")).toMatchObject({ status: "paused" });
  await json("machine", "resume", id);
  expect(await json("machine", "get", id, "--json")).toMatchObject({ status: "running" });
  await said("snapshot", "delete", snapshotId);
}, 60_000);

test("shows and streams what happened, and manages webhooks", async () => {
  expect(await said("lifecycle", "events", "--machine-id", id)).toContain("hibernate");
  const streamed = await said("lifecycle", "stream", "--machine-id", id, "--max-events", "3");
  const operations = streamed
    .trim()
    .split("\n")
    .map((line) => (JSON.parse(line) as { operation: string }).operation);
  expect(operations).toHaveLength(3);
  const secret = ["--signing-secret", "a-signing-secret"];
  const hook = await json(
    ...[
      "lifecycle",
      "webhooks",
      "create",
      "--url",
      "http://127.0.0.1:9/hook",
      "--operation",
      "fork",
      ...secret,
    ],
  );
  expect(await said("lifecycle", "webhooks", "list")).toContain(hook["id"] as string);
  await said("lifecycle", "webhooks", "delete", hook["id"] as string);
}, 60_000);

test("monitors", async () => {
  const child = spawn(python, [program(), "monitor", "stream"], {
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = new Promise((resolve) => child.on("close", resolve));
  let seen = "";
  for await (const data of child.stdout) {
    seen += String(data);
    if (seen.includes(id)) break;
  }
  child.kill();
  await ended;
  expect(seen).toContain(id);
}, 60_000);

test("its quickstart and its doctor are content", async () => {
  expect(await said("quickstart")).toContain("Quickstart complete");
  expect(await said("doctor")).not.toContain("fail");
}, 60_000);

test("an error has the service's words", async () => {
  const { exitCode, stderr, stdout } = await cli(["machine", "get", "mch_none", "--json"]);
  expect(exitCode).not.toBe(0);
  expect(stderr + stdout).toContain("machine_not_found");
  await said("machine", "kill", id);
  expect(await said("machine", "list")).not.toContain(id);
}, 60_000);
