/** The adapter over a real control plane: what a refusal says to somebody who writes a Pulumi program. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startLocal } from "@pulumi-machines/local";
import { DedalusControlPlane } from "../../../provider/src/controlplane/dedalus";
import type { CommandSpec } from "../../../provider/src/controlplane/command-port";
import { freePort } from "../../support/postgres";
import { all, keyed, never, running, settled, size, startEmbedded } from "./embedded";

const options = { signal: new AbortController().signal, idempotencyKey: "k-1" };
const spec = { vcpu: 1, memoryMiB: 512, storageGiB: 1 };

test("a wrong key is said in the terms of a project, with the request id and without the key", async () => {
  const stateDir = mkdtempSync(join(tmpdir(), "machines-adapter-"));
  const local = await startLocal({ stateDir, port: 0, driver: "null" });
  const plane = new DedalusControlPlane({
    backend: "local",
    baseUrl: local.dedalus,
    apiKey: "not-the-key-1234",
  });
  try {
    const refusal: unknown = await plane.createMachine(spec, options).catch((error: unknown) => error);
    expect(refusal).toMatchObject({ name: "RefusedError", code: "AUTH_INVALID", retryable: false });
    const { message } = refusal as Error;
    expect(message).toMatch(
      /401 AUTH_INVALID: .* \(request id [0-9a-f-]{36}\)\. Check the key: pulumi config set --secret machines:apiKey/,
    );
    expect(message).not.toMatch(/not-the-key-1234|DEDALUS_/);
  } finally {
    await plane.close();
    await local.close();
    rmSync(stateDir, { recursive: true, force: true });
  }
});

test("an address at which nothing answers comes with the hint that the backend has for it", async () => {
  const baseUrl = `http://127.0.0.1:${String(await freePort())}`;
  const plane = new DedalusControlPlane({
    backend: "local",
    baseUrl,
    apiKey: "any-key-1234",
    unreachableHint: "Start it.",
  });
  try {
    await expect(plane.createMachine(spec, options)).rejects.toMatchObject({
      code: "connection_refused",
      message: expect.stringMatching(/\. Start it\.$/) as string,
    });
  } finally {
    await plane.close();
  }
});

describe("commands and lists", () => {
  let local: Awaited<ReturnType<typeof startEmbedded>>;
  let plane: DedalusControlPlane;
  let id: string;
  beforeAll(async () => {
    local = await startEmbedded();
    plane = new DedalusControlPlane({ backend: "dedalus", baseUrl: local.dedalus, apiKey: local.apiKey });
    id = await running(plane);
  }, 60_000);
  afterAll(async () => {
    await plane.close();
    await local.close();
  });

  const sh = (script: string, more: Partial<CommandSpec> = {}): CommandSpec => ({
    argv: ["sh", "-c", script],
    timeoutMs: 20_000,
    ...more,
  });
  const faults = async (rules: object[]): Promise<void> => {
    const answer = await fetch(`${local.url}/local/faults`, {
      method: "PUT",
      headers: { authorization: `Bearer ${local.apiKey}`, "content-type": "application/json" },
      body: JSON.stringify({ rules }),
    });
    if (!answer.ok) throw new Error(await answer.text());
  };
  const heard = (): {
    text: { stdout: string; stderr: string };
    onOutput: (s: "stdout" | "stderr", t: string) => void;
  } => {
    const text = { stdout: "", stderr: "" };
    return { text, onOutput: (stream, chunk) => void (text[stream] += chunk) };
  };

  test("a command has its folder, variables and input, and its output comes live and whole", async () => {
    const { text, onOutput } = heard();
    const spec = sh('pwd; echo "$NAME"; cat; echo aside >&2; exit 3', {
      cwd: "/tmp",
      env: { NAME: "of the program" },
      stdin: "typed\n",
    });
    const outcome = await plane.commands.run(id, spec, { ...keyed(), onOutput });
    expect(outcome).toMatchObject({
      ...{ exitCode: 3, stdout: "/tmp\nof the program\ntyped\n", stderr: "aside\n", complete: true },
      durationMs: expect.any(Number) as unknown,
    });
    expect(text).toEqual({ stdout: outcome.stdout, stderr: outcome.stderr });
  });

  test("arguments are no shell's text", async () => {
    const argv = ["printf", "%s|", "a b", "$HOME", "'", "; exit 9"];
    const { stdout } = await plane.commands.run(id, { argv, timeoutMs: 20_000 }, keyed());
    expect(stdout).toBe("a b|$HOME|'|; exit 9|");
  });

  test("an end by a signal, a timeout, and a program that is not there have the codes of a shell", async () => {
    expect((await plane.commands.run(id, sh("kill -9 $$"), keyed())).exitCode).toBe(137);
    const late = await plane.commands.run(id, sh("echo begun; sleep 600", { timeoutMs: 300 }), keyed());
    expect(late).toMatchObject({ exitCode: 124, timedOut: true, stdout: "begun\n" });
    const { text, onOutput } = heard();
    const none = { argv: ["no-such-program"], timeoutMs: 20_000 };
    const missing = await plane.commands.run(id, none, { ...keyed(), onOutput });
    expect(missing.exitCode).toBe(127);
    expect(missing.stderr).toMatch(/no-such-program/);
    expect(text.stderr).toBe(missing.stderr);
  });

  test("a key runs a command once, however often its answers are lost", async () => {
    const { text, onOutput } = heard();
    await faults([{ on: "request", method: "GET", path: "/v1/machines", times: 7, loseAnswer: true }]);
    const spec = sh("echo once >> /root/runs; cat /root/runs");
    const outcome = await plane.commands.run(id, spec, { ...keyed("one-run"), onOutput });
    await faults([]);
    expect([outcome.stdout, text.stdout]).toEqual(["once\n", "once\n"]);
    expect((await plane.commands.run(id, spec, keyed("one-run"))).stdout).toBe("once\n");
  });

  test("output that is read again after a broken connection is told once", async () => {
    const { text, onOutput } = heard();
    let broken = false;
    const spec = sh("echo first; sleep 0.3; echo second");
    const outcome = await plane.commands.run(id, spec, {
      ...keyed(),
      onOutput: (stream, chunk) => {
        onOutput(stream, chunk);
        if (broken) return;
        broken = true;
        void faults([{ on: "request", method: "GET", path: "/v1/machines", times: 5, loseAnswer: true }]);
      },
    });
    await faults([]);
    expect([outcome.exitCode, text.stdout]).toEqual([0, "first\nsecond\n"]);
  });

  test("an aborted command is ended in the machine", async () => {
    const stop = new AbortController();
    const run = plane.commands.run(id, sh("echo $$ > /root/pid; echo go; exec sleep 600"), {
      ...keyed(),
      signal: stop.signal,
      onOutput: () => stop.abort(new Error("enough")),
    });
    await expect(run).rejects.toThrow("enough");
    const look = await plane.commands.run(
      id,
      sh("kill -0 $(cat /root/pid) 2>/dev/null || echo ended"),
      keyed(),
    );
    expect(look.stdout).toBe("ended\n");
  });

  test("more output than is kept is said to be missing", async () => {
    const outcome = await plane.commands.run(
      id,
      sh("head -c 30000000 /dev/zero | tr '\\0' x; echo end"),
      keyed(),
    );
    expect(outcome).toMatchObject({ exitCode: 0, complete: false });
    expect(outcome.missing).toMatch(/^the first \d+ bytes of stdout$/);
    expect(outcome.stdout.endsWith("end\n")).toBe(true);
  });

  test("a machine that is not there is gone", async () => {
    const run = plane.commands.run("dm-none", sh("true"), keyed());
    await expect(run).rejects.toMatchObject({ name: "MachineGoneError", machineId: "dm-none" });
  });

  test("lists select by phase; what this API does not keep selects nothing", async () => {
    const other = await running(plane);
    await plane.sleepMachine(other, keyed());
    await settled(plane, other, "sleeping");
    const ids = async (filter: Parameters<typeof plane.listMachines>[0]): Promise<string[]> =>
      (await all(plane.listMachines(filter, { signal: never }))).map((machine) => machine.id);
    expect((await ids({})).sort()).toEqual([id, other].sort());
    expect(await ids({ phases: ["sleeping"] })).toEqual([other]);
    expect(await ids({ tags: { "pulumi:stack": "dev" } })).toEqual([]);
    expect(await plane.describeMachine(id, { signal: never })).toMatchObject({
      ...size,
      id,
      metadata: {},
      tags: {},
    });
  });

  test("what this backend cannot change is refused, not passed over", async () => {
    await expect(plane.updateMachine(id, { lifetime: { timeout: "1h" } }, keyed())).rejects.toMatchObject({
      code: "not_supported",
      message: expect.stringMatching(/lifetime cannot be changed on the backend "dedalus"/) as unknown,
    });
    expect(await plane.updateMachine(id, { memoryMiB: 512, autosleep: "1h" }, keyed())).toMatchObject({
      memoryMiB: 512,
      autosleepSeconds: 3600,
    });
  });
});
