/** The example as a user runs it, on its own control plane and on one that is there. */
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { NullspaceClient } from "../../sdk/src/nullspace/client";
import { startTestLocal } from "../local/dedalus/control-plane";

const script = join(__dirname, "../../examples/parallel-tests/run.mts");
const suite = readdirSync(join(script, "../suite"));
const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function start(env: Record<string, string>) {
  const folder = mkdtempSync(join(tmpdir(), "machines-example-"));
  folders.push(folder);
  const { PATH = "" } = process.env;
  const child = spawn(process.execPath, [script], {
    env: { PATH, HOME: folder, TMPDIR: folder, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const seen = { stdout: "", stderr: "" };
  child.stdout.on("data", (data: Buffer) => (seen.stdout += data.toString()));
  child.stderr.on("data", (data: Buffer) => (seen.stderr += data.toString()));
  const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
  return { child, seen, ended, folder };
}

test("runs the suite in three forks of a machine, and leaves nothing behind", async () => {
  const { seen, ended, folder } = start({});
  expect({ exitCode: await ended, stderr: seen.stderr }).toEqual({ exitCode: 0, stderr: "" });
  for (const fork of ["fork 1", "fork 2", "fork 3"]) {
    expect(seen.stdout).toMatch(new RegExp(`${fork} \\| ok `));
    expect(seen.stdout).toContain(`${fork} | exit code 0`);
  }
  for (const test of suite) expect(seen.stdout).toContain(`| ok ${test}`);
  expect(seen.stdout).toContain(`all    | passed: ${String(suite.length)} tests`);
  expect(readdirSync(folder).filter((name) => name.startsWith("parallel-tests-"))).toEqual([]);
});

test("deletes its machines when it is stopped by Ctrl-C", async () => {
  const local = await startTestLocal({ driver: "auto" });
  const client = new NullspaceClient({ apiKey: local.apiKey, baseUrl: local.nullspace });
  try {
    const { child, seen, ended } = start({
      NULLSPACE_API_KEY: local.apiKey,
      NULLSPACE_BASE_URL: local.nullspace,
    });
    child.stdout.on("data", () => {
      if (seen.stdout.includes("is prepared")) child.kill("SIGINT");
    });
    expect(await ended).toBe(1);
    expect(seen.stderr).toContain("stopped by Ctrl-C");
    const left = await client.machines.list().page();
    expect(left.items).toEqual([]);
  } finally {
    await client.close();
    await local.close();
  }
});
