/** A control plane of its own process, so that a test can run a driver as another user, and kill it with -9. */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import type { Driver, PipedProgram, RunningExec } from "../../../local/src/engine/driver";
import { createDriver, type DriverChoice } from "../../../local/src/engine/drivers/select";
import { SandboxDriver } from "../../../local/src/engine/drivers/sandbox/driver";

const [name, stateDir = ""] = process.argv.slice(2);
const execs = new Map<string, RunningExec>();
const pipes = new Map<string, PipedProgram>();
const say = (message: object): void => void process.stdout.write(`${JSON.stringify(message)}\n`);

/** Texts may be 20 MB: the test asks for what it needs. */
const finish = async (exec: RunningExec) => {
  const exit = await exec.exited;
  const [stdout, stderr] = [readFileSync(exec.stdoutPath), readFileSync(exec.stderrPath)];
  return {
    ...exit,
    stdout: stdout.toString("utf8", 0, 4096),
    stderr: stderr.toString(),
    bytes: stdout.length,
  };
};

const calls = (driver: Driver) => ({
  facts: async () => ({ name: driver.name, notEnforced: driver.notEnforced, warnings: driver.warnings }),
  start: (id: string, size: object = {}) =>
    driver.start(
      { id, hostname: `dm-${id}`, network: "host", vcpu: 1, memoryMiB: 128, storageGiB: 1, ...size },
      { signal: AbortSignal.timeout(20_000) },
    ),
  isRunning: (id: string) => driver.isRunning(id),
  stop: (id: string) => driver.stop(id),
  destroy: (id: string) => driver.destroy(id),
  resize: (id: string, size: object) =>
    driver.resize({
      id,
      hostname: `dm-${id}`,
      network: "host",
      vcpu: 1,
      memoryMiB: 128,
      storageGiB: 1,
      ...size,
    }),
  sweep: (known: string[], snapshots: string[] = []) => driver.sweep(new Set(known), new Set(snapshots)),
  snapshot: (id: string, snapshotId: string, timeoutMs = 60_000) =>
    driver.snapshot(id, snapshotId, { signal: AbortSignal.timeout(timeoutMs) }),
  forgetSnapshot: (snapshotId: string) => driver.forgetSnapshot(snapshotId),
  usage: (id: string, vcpu = 1) => driver.usage({ id, vcpu }),
  onExit: async (id: string) => void driver.onExit(id, (words) => say({ event: "exit", id, words })),
  exec: async (machineId: string, executionId: string, command: string[], more: object = {}) =>
    void execs.set(executionId, await driver.exec({ executionId, machineId, command, env: {}, ...more })),
  attach: async (machineId: string, executionId: string) => {
    const exec = await driver.attachExec(machineId, executionId);
    if (exec) execs.set(executionId, exec);
    return exec !== undefined;
  },
  finished: async (executionId: string) => finish(execOf(executionId)),
  output: async (executionId: string) => readFileSync(execOf(executionId).stdoutPath, "utf8"),
  kill: (executionId: string, signal?: "SIGTERM" | "SIGKILL") => execOf(executionId).kill(signal),
  begun: async (executionId: string) => execOf(executionId).begun?.(),
  write: (executionId: string, data: string) => execOf(executionId).writeStdin(Buffer.from(data)),
  close: (executionId: string) => execOf(executionId).closeStdin(),
  resizeTerminal: (executionId: string, cols: number, rows: number) =>
    execOf(executionId).resize({ cols, rows }),
  forget: (machineId: string, executionId: string) => driver.forgetExec(machineId, executionId),
  /** Runs a piped program to its end. */
  pipe: async (
    machineId: string,
    argv: string[],
    { stdin = "", cwd }: { stdin?: string; cwd?: string } = {},
  ) => {
    const program = await driver.pipe(machineId, argv, cwd === undefined ? {} : { cwd });
    program.stdin.end(stdin);
    const [stdout, stderr] = await Promise.all([text(program.stdout), text(program.stderr)]);
    return { exitCode: await program.exited, stdout, stderr };
  },
  /** Starts one that goes on, and answers its first line. */
  pipeOpen: async (name: string, machineId: string, argv: string[]) => {
    const program = await driver.pipe(machineId, argv);
    pipes.set(name, program);
    return String((await once(program.stdout, "data"))[0]).trim();
  },
  pipeKill: async (name: string) => {
    pipes.get(name)?.kill();
    return pipes.get(name)?.exited;
  },
});

function execOf(id: string): RunningExec {
  const found = execs.get(id);
  if (!found) throw new Error(`no execution ${id}`);
  return found;
}

async function main(): Promise<void> {
  // "bare" leaves the probe out, so that a kill -9 can be timed to hit a start.
  const driver =
    name === "bare"
      ? await SandboxDriver.create({ stateDir })
      : await createDriver({
          name: name as DriverChoice,
          stateDir,
          log: (line) => say({ event: "log", line }),
        });
  say({ event: "ready" });
  const table = calls(driver) as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
  for await (const line of createInterface({ input: process.stdin })) {
    const { n, method, args } = JSON.parse(line) as { n: number; method: string; args: unknown[] };
    const answer = Promise.resolve().then(() => table[method]?.(...args));
    void answer.then(
      (value) => say({ n, value: value ?? null }),
      (error: Error) => say({ n, error: { ...error, message: error.message } }),
    );
  }
  await driver.close();
}

main().catch((error: Error) => {
  say({ event: "failed", error: { ...error, message: error.message } });
  process.exitCode = 1;
});
