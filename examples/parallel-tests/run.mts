/**
 * Runs a test suite in three forks of one machine: the machine is prepared once, and each fork runs a third of the tests and
 * shows its output as it comes. With NULLSPACE_API_KEY at the vendor, without it on the embedded control plane.
 */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { styleText } from "node:util";
import { startLocal } from "@pulumi-machines/local";
import { NullspaceClient } from "@pulumi-machines/sdk";

const here = import.meta.dirname;
const suite = "/srv/suite";
const forks = 3;

// Ctrl-C ends the tests, and the machines are deleted all the same.
const stopping = new AbortController();
process.once("SIGINT", () => stopping.abort(new Error("stopped by Ctrl-C")));
const { signal } = stopping;

await using service = await connect();
const { client } = service;
const machines: string[] = [];
const startedAt = performance.now();
try {
  // Should this script be killed, the service deletes the machines after ten minutes.
  const base = await client.machines.create({ vcpus: 1, memoryMb: 512, timeoutMs: 600_000 });
  machines.push(base.id);
  await prepare(base.id);
  say("base", `${base.id} is prepared`);

  const tests = (await readdir(join(here, "suite"))).sort();
  const parts = Array.from({ length: forks }, (_, part) => tests.filter((_, at) => at % forks === part));
  const results = await Promise.allSettled(
    parts.map((part, at) => runIn(`fork ${String(at + 1)}`, base.id, part)),
  );
  for (const result of results) if (result.status === "rejected") throw result.reason;
  const passed = results.every((result) => result.status === "fulfilled" && result.value === 0);
  const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1);
  say("all", `${passed ? "passed" : "FAILED"}: ${String(tests.length)} tests in ${seconds} s`);
  process.exitCode = passed ? 0 : 1;
} finally {
  await Promise.all(machines.map((id) => client.machines.delete(id)));
}

/** What takes long is done once: every fork has it. */
async function prepare(id: string): Promise<void> {
  for (const name of await readdir(join(here, "suite"))) {
    await client.files.write(id, `${suite}/${name}`, await readFile(join(here, "suite", name)), { signal });
  }
  await client.files.write(id, `${suite}/run-tests`, await readFile(join(here, "run-tests.sh")), { signal });
  await client.commands.run(id, `seq 1 100000 > ${suite}/fixture.txt`, { shell: true, signal });
}

async function runIn(name: string, base: string, tests: string[]): Promise<number> {
  const { id } = await client.machines.fork(base);
  machines.push(id);
  const command = client.commands.stream(id, "sh", {
    args: [`${suite}/run-tests`, ...tests],
    envs: { SUITE: suite },
    timeoutMs: 300_000,
    signal,
  });
  let line = "";
  for await (const { data } of command) {
    const lines = (line + data).split("\n");
    line = lines.pop() ?? "";
    for (const each of lines) say(name, each);
  }
  if (line !== "") say(name, line);
  const { exitCode, complete } = await command.result;
  say(name, `exit code ${String(exitCode)}${complete ? "" : ", and some of the output is missing"}`);
  return exitCode;
}

function say(who: string, text: string): void {
  console.log(`${styleText("cyan", who.padEnd(6))} | ${text}`);
}

/** The vendor where there is a key for it; otherwise a control plane of our own, with a state folder of its own. */
async function connect(): Promise<AsyncDisposable & { client: NullspaceClient }> {
  if (process.env["NULLSPACE_API_KEY"]) {
    const client = new NullspaceClient();
    return { client, [Symbol.asyncDispose]: () => client.close() };
  }
  const stateDir = await mkdtemp(join(tmpdir(), "parallel-tests-"));
  const local = await startLocal({ port: 0, stateDir });
  const client = new NullspaceClient({ apiKey: local.apiKey, baseUrl: local.nullspace });
  return {
    client,
    async [Symbol.asyncDispose]() {
      await client.close();
      await local.close();
      await rm(stateDir, { recursive: true, force: true });
    },
  };
}
