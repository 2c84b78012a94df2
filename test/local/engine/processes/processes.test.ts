/** Commands as their callers hold them, by a number. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Executions } from "../../../../local/src/engine/executions";
import { processesWith } from "../../drivers/traces";
import { all, bytesOf, Plane, soon } from "./plane";

describe.each(["sandbox", "process"] as const)("a command in a %s machine", (driver) => {
  let plane: Plane;
  const executions = () => plane.control.executions as Executions;

  beforeAll(async () => {
    plane = await Plane.open(driver, { env: { TIER: "machine's", KEPT: "secret-8812" } });
  });

  afterAll(async () => {
    await plane.end();
  });

  test("has a number that no other command ever has", async () => {
    const first = await plane.start(["true"]);
    await plane.ended(first.pid);
    await plane.control.executions.remove(plane.machineId, first.executionId);
    const second = await plane.start(["true"]);
    expect(second.pid).toBeGreaterThan(first.pid);
    const other = await plane.createMachine();
    await expect(plane.processes.get(other, second.pid)).rejects.toMatchObject({ code: "process_not_found" });
    await expect(plane.processes.kill(other, second.pid)).rejects.toMatchObject({
      code: "process_not_found",
    });
    await plane.bring("destroyed", other);
    await expect(plane.processes.get("nomachine", 1)).rejects.toMatchObject({ code: "machine_not_found" });
  });

  test("tells how it ended, and both outputs also in the order of writing", async () => {
    const logs = await plane.run("echo one; sleep 0.05; echo two >&2; sleep 0.05; echo three; exit 4", {
      display: "as written",
    });
    expect(logs).toMatchObject({
      stdout: "one\nthree\n",
      stderr: "two\n",
      output: "one\ntwo\nthree\n",
      stdoutDropped: 0,
      process: {
        command: "as written",
        running: false,
        exitCode: 4,
        errorCode: null,
        stdoutBytes: 10,
        stderrBytes: 4,
      },
    });
  });

  test("that does not exist ends with 127, as at a prompt; one that cannot be started is refused", async () => {
    expect(await plane.run(["no-such-program"])).toMatchObject({
      stderr: "no-such-program: command not found\n",
      process: { exitCode: 127, errorCode: null },
    });
    await expect(plane.start("pwd", { cwd: "/no/such" })).rejects.toMatchObject({
      code: "process_failed",
      message: expect.stringContaining("/no/such") as string,
    });
    await expect(plane.start(["a\0b"])).rejects.toMatchObject({ code: "invalid_argument" });
    await expect(plane.start([])).rejects.toMatchObject({ code: "invalid_argument" });
  });

  test("gets the machine's variables in both dialects, and its own win", async () => {
    expect((await plane.run("echo $TIER $KEPT")).stdout).toBe("machine's secret-8812\n");
    expect((await plane.run("echo $TIER", { env: { TIER: "own" } })).stdout).toBe("own\n");
    const answer = await plane.control.executions.create(
      plane.machineId,
      { command: ["sh", "-c", "echo $TIER"], env: {} },
      { scope: "t", key: "env", requestHash: "h" },
      (record) => ({ status: 200, headers: {}, body: record.id }),
    );
    const [newest] = await plane.processes.list(plane.machineId);
    expect(newest?.executionId).toBe(answer.body);
    await plane.ended(newest?.pid ?? 0);
    expect((await plane.processes.logs(plane.machineId, newest?.pid ?? 0)).stdout).toBe("machine's\n");
  });

  test("leaves no value of a variable and nothing of its input in the store", async () => {
    const { pid } = await plane.start("cat >/dev/null; exit 0", {
      env: { TOKEN: "token-5531" },
      stdin: "open",
    });
    await plane.send(pid, "input-9910");
    await plane.processes.closeStdin(plane.machineId, pid);
    await plane.ended(pid);
    for (const file of ["control-plane.db", "control-plane.db-wal"]) {
      const stored = readFileSync(join(plane.stateDir, file), "latin1");
      expect(stored).not.toContain("token-5531");
      expect(stored).not.toContain("input-9910");
    }
  });

  test("starts in the machine's folder where it names none", async () => {
    const folder = join(plane.stateDir, "made for it");
    const machine = await plane.createMachine({ traits: { cwd: folder } });
    const { pid } = await plane.processes.start(machine, { command: ["pwd"] }, soon());
    await plane.processes.ended(machine, pid, soon());
    expect((await plane.processes.logs(machine, pid)).stdout).toBe(`${folder}\n`);
    await plane.bring("destroyed", machine);
  });

  test("is killed with everything below it", async () => {
    const { pid } = await plane.start("sleep 7401 & (sleep 7402; sleep 7402) & echo up; wait", {
      display: "forks",
    });
    await plane.untilWritten(pid, "up");
    expect(executions().runningCommands(plane.machineId)).toContainEqual({ pid, command: "forks" });
    await plane.processes.kill(plane.machineId, pid);
    expect([...processesWith("sleep 7401"), ...processesWith("sleep 7402")]).toEqual([]);
    expect(await plane.processes.get(plane.machineId, pid)).toMatchObject({
      running: false,
      exitCode: 137,
      errorCode: null,
    });
    await plane.processes.kill(plane.machineId, pid);
  });

  test("is killed when its time is over", async () => {
    const { pid } = await plane.start(["sleep", "1000"], { timeoutMs: 100 });
    expect(await plane.ended(pid)).toMatchObject({ exitCode: 137, errorCode: "EXECUTION_TIMEOUT" });
  });

  test("is not left behind by a caller that gave up while it started", async () => {
    const abort = new AbortController();
    const starting = plane.processes.start(plane.machineId, { command: ["sleep", "7403"] }, abort.signal);
    setImmediate(() => abort.abort(new Error("given up")));
    await expect(starting).rejects.toThrow("given up");
    expect(processesWith("sleep 7403")).toEqual([]);
  });

  test("stands in the list while it runs and after, newest first", async () => {
    const running = await plane.start(["sleep", "1000"]);
    const ended = await plane.start(["true"]);
    await plane.ended(ended.pid);
    const list = await plane.processes.list(plane.machineId);
    expect(list.slice(0, 2)).toMatchObject([
      { pid: ended.pid, running: false },
      { pid: running.pid, running: true, command: "sleep 1000", exitCode: null },
    ]);
    await plane.processes.kill(plane.machineId, running.pid);
  });

  test("that ends is told to all who wait, and a wait can be given up", async () => {
    const { pid } = await plane.start("read -r _; exit 5", { stdin: "open" });
    const abort = new AbortController();
    const given = plane.processes.ended(plane.machineId, pid, abort.signal);
    const waiting = Array.from({ length: 20 }, () => plane.ended(pid));
    abort.abort(new Error("given up"));
    await expect(given).rejects.toThrow("given up");
    await plane.send(pid, "\n");
    for (const process of await Promise.all(waiting)) expect(process).toMatchObject({ exitCode: 5 });
  });

  test("says what is dropped of a large output: in its log and to a reader who comes late", async () => {
    const bytes = 20_000_000;
    const answer = await plane.control.executions.create(
      plane.machineId,
      { command: ["sh", "-c", `yes 0123456 | head -c ${String(bytes)}`], env: {} },
      { scope: "t", key: "large", requestHash: "h" },
      (record) => ({ status: 200, headers: {}, body: record.id }),
    );
    const [{ pid } = { pid: 0 }] = await plane.processes.list(plane.machineId);
    expect((await plane.ended(pid)).executionId).toBe(answer.body);
    const logs = await plane.processes.logs(plane.machineId, pid);
    const kept = bytes - logs.stdoutDropped;
    expect(kept).toBeLessThanOrEqual(8 * 1_048_576);
    expect(kept).toBeGreaterThan(7.9 * 1_048_576);
    const marker = `[the first ${String(logs.stdoutDropped)} bytes of stdout are kept no more]\n`;
    expect(logs.stdout.startsWith(marker)).toBe(true);
    expect(Buffer.byteLength(logs.stdout)).toBe(marker.length + kept);
    expect(logs.output).toBe(logs.stdout);
    const [gap, ...rest] = await all(plane.follow(pid));
    expect(gap).toMatchObject({ type: "gap", stream: "stdout", from: 0 });
    const lost = gap?.type === "gap" ? gap.bytes : 0;
    const read = bytesOf(rest, "stdout");
    expect(lost + read.length).toBe(bytes);
    expect(read.equals(Buffer.alloc(bytes, "0123456\n").subarray(lost))).toBe(true);
  });

  test("outlives the control plane, and is held by its number again", async () => {
    const { pid } = await plane.start("echo before; cat; exit 6", { stdin: "open" });
    await plane.untilWritten(pid, "before");
    await plane.reopen();
    expect(await plane.processes.get(plane.machineId, pid)).toMatchObject({ running: true });
    const reading = all(plane.follow(pid, { stdout: 4, stderr: 0 }));
    await plane.send(pid, "after\n");
    await plane.processes.closeStdin(plane.machineId, pid);
    expect(await plane.ended(pid)).toMatchObject({ exitCode: 6 });
    expect(bytesOf(await reading, "stdout").toString()).toBe("re\nafter\n");
  });

  test("ends with its machine's sleep and says so; its output stays", async () => {
    const { pid } = await plane.start("echo on; sleep 1000");
    const reading = all(plane.follow(pid));
    await plane.untilWritten(pid, "on");
    await plane.bring("sleeping");
    expect(await plane.ended(pid)).toMatchObject({ exitCode: 137, errorCode: "MACHINE_STOPPED" });
    expect((await reading).at(-1)).toMatchObject({ type: "exit", process: { errorCode: "MACHINE_STOPPED" } });
    expect((await plane.processes.logs(plane.machineId, pid)).stdout).toBe("on\n");
    await expect(plane.start(["true"])).rejects.toMatchObject({ code: "machine_not_running" });
    await plane.bring("running");
    expect((await plane.run(["echo", "awake"])).stdout).toBe("awake\n");
  });
});
