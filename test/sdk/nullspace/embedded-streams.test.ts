/** Terminals, watched folders, the monitor and streamed commands against the embedded control plane, over connections that are cut. */
import fc from "fast-check";
import type { Local } from "../../../local/src/start-local";
import { NullspaceClient } from "../../../sdk/src/nullspace/client";
import type { FileChange } from "../../../sdk/src/nullspace/file-watch";
import type { MonitorItem } from "../../../sdk/src/nullspace/monitor";
import { startTestLocal } from "../../local/dedalus/control-plane";
import { failureOf } from "./client-to";
import { CuttingProxy } from "./cutting-proxy";

let local: Local;
let proxy: CuttingProxy;
let client: NullspaceClient;
let machineId: string;
beforeAll(async () => {
  local = await startTestLocal({ driver: "auto" });
  proxy = await CuttingProxy.before(local.nullspace);
  client = new NullspaceClient({ apiKey: local.apiKey, baseUrl: proxy.url });
  ({ id: machineId } = await client.machines.create({ vcpus: 1, memoryMb: 256, timeoutMs: 3_600_000 }));
});
afterAll(async () => {
  await client.close();
  await proxy[Symbol.asyncDispose]();
  await local.close();
});
afterEach(() => {
  proxy.cuts = [];
});

/** Reads until this stands in what was written. */
async function shows(
  terminal: AsyncIterator<{ kind: string; data: Uint8Array }>,
  text: string,
): Promise<string> {
  let seen = "";
  while (!seen.includes(text)) {
    const next = await terminal.next();
    if (next.done === true) throw new Error(`it ended after ${JSON.stringify(seen)}`);
    seen += Buffer.from(next.value.data).toString("latin1");
  }
  return seen;
}

describe("a terminal", () => {
  test("is opened, typed into, resized, and ends with its shell's exit code", async () => {
    const terminal = await client.pty.create(machineId, {
      cols: 90,
      rows: 20,
      cwd: "/tmp",
      envs: { WORD: "hello" },
    });
    expect(await client.pty.get(machineId, terminal.sessionId)).toMatchObject({
      ...{ sessionId: terminal.sessionId, pid: terminal.pid, cols: 90, rows: 20 },
    });
    const output = terminal[Symbol.asyncIterator]();
    await terminal.input('echo "$WORD-from-$PWD"\n');
    await shows(output, "hello-from-/tmp");
    await terminal.resize({ cols: 61, rows: 17 });
    await terminal.input("stty size\n");
    await shows(output, "17 61");
    await terminal.input(Buffer.from("exit 7\n"));
    while (!(await output.next()).done);
    expect(await terminal.result).toEqual({ exitCode: 7, complete: true, gaps: [] });
    expect(await client.pty.list(machineId)).toEqual([]);
    const gone = await failureOf(client.pty.get(machineId, terminal.sessionId));
    expect(gone).toMatchObject({ name: "NotFoundError" });
  });

  test("is joined by its session and by its pid, and is killed", async () => {
    const first = await client.pty.create(machineId);
    const bySession = await client.pty.connect(machineId, { sessionId: first.sessionId });
    const byPid = await client.pty.connect(machineId, { pid: first.pid });
    expect(byPid.sessionId).toBe(first.sessionId);
    await byPid.input("echo jo''ined\n");
    await Promise.all(
      [bySession, byPid].map((terminal) => shows(terminal[Symbol.asyncIterator](), "joined")),
    );
    await byPid.disconnect();
    expect(await failureOf(byPid.result)).toMatchObject({ code: "command_abandoned" });
    expect(await client.pty.list(machineId)).toHaveLength(1);
    await first.kill();
    expect(await first.result).toMatchObject({ exitCode: 137, complete: true });
  });

  test("that is left early is ended, or left running where that is asked", async () => {
    {
      await using left = await client.pty.create(machineId);
      expect((await client.pty.list(machineId)).map(({ sessionId }) => sessionId)).toEqual([left.sessionId]);
    }
    expect(await client.pty.list(machineId)).toEqual([]);
    const abort = new AbortController();
    const kept = await client.pty.create(machineId, { whenAborted: "leave", signal: abort.signal });
    abort.abort(new Error("enough"));
    expect(await failureOf(kept.result)).toMatchObject({ message: "enough" });
    expect(await client.pty.list(machineId)).toHaveLength(1);
    await client.pty.kill(machineId, kept.sessionId);
  });

  test("loses no byte, wherever its connection is cut", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 300, max: 30_000 }), { minLength: 1, maxLength: 4 }),
        async (cuts) => {
          const terminal = await client.pty.create(machineId);
          const output = terminal[Symbol.asyncIterator]();
          await terminal.input("stty -echo -onlcr; echo be''gin; seq 1 4000; echo en''d; exit 3\n");
          // What was typed has arrived.
          let text = await shows(output, "begin");
          proxy.cuts = [...cuts];
          proxy.cut();
          for (let next = await output.next(); !next.done; next = await output.next()) {
            text += Buffer.from(next.value.data).toString();
          }
          const { exitCode, complete, gaps } = await terminal.result;
          proxy.cuts = [];
          expect({ exitCode, complete, gaps }).toEqual({ exitCode: 3, complete: true, gaps: [] });
          const numbers = Array.from({ length: 4000 }, (_, n) => `${String(n + 1)}\n`).join("");
          expect(text.includes(`begin\n${numbers}end\n`)).toBe(true);
        },
      ),
      { numRuns: 8 },
    );
  });

  test("that there is none of is an error with the service's code", async () => {
    const unknown = await failureOf(client.pty.connect(machineId, { sessionId: "none" }));
    expect(unknown).toMatchObject({ name: "CommandError", machineId });
    expect(await failureOf(client.pty.create(machineId, { cols: 0 }))).toMatchObject({ name: "UsageError" });
    expect(await failureOf(client.pty.create("mch_none"))).toMatchObject({ name: "NotFoundError" });
  });
});

test("the output of a command loses no byte, wherever its connection is cut", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 40_000 }), { maxLength: 5 }), async (cuts) => {
      // The start itself is not cut: nobody could know whether it ran.
      const command = client.commands.stream(machineId, "seq 1 5000; seq 1 500 >&2; exit 4", { shell: true });
      await command.pid;
      proxy.cuts = [...cuts];
      proxy.cut();
      const seen = { stdout: "", stderr: "" };
      for await (const { stream, data } of command) seen[stream] += data;
      expect(await command.result).toMatchObject({ exitCode: 4, complete: true, gaps: [] });
      proxy.cuts = [];
      const upTo = (n: number): string =>
        Array.from({ length: n }, (_, at) => `${String(at + 1)}\n`).join("");
      expect(seen.stdout === upTo(5000)).toBe(true);
      expect(seen.stderr).toBe(upTo(500));
    }),
    { numRuns: 12 },
  );
});

test("a command is fed and ended while it is read, and its process is found again by its pid", async () => {
  const cat = client.commands.stream(machineId, "cat");
  const pieces = cat[Symbol.asyncIterator]();
  await cat.sendStdin("one\n");
  expect((await pieces.next()).value).toMatchObject({ stream: "stdout", data: "one\n" });
  proxy.cut();
  // Straight: over a connection that breaks, nobody would know whether it was typed.
  await using direct = new NullspaceClient({ apiKey: local.apiKey, baseUrl: local.nullspace });
  await direct.commands.sendStdin(machineId, await cat.pid, "two\n");
  expect((await pieces.next()).value).toMatchObject({ data: "two\n", offset: 4 });
  await cat.closeStdin();
  expect((await pieces.next()).done).toBe(true);
  expect(await cat.result).toMatchObject({ exitCode: 0, complete: true });

  const sleeper = client.commands.stream(machineId, "echo up; sleep 600", {
    shell: true,
    timeoutMs: 900_000,
  });
  const again = client.commands.connect(machineId, await sleeper.pid);
  for await (const { data } of again) {
    expect(data).toBe("up\n");
    break;
  }
  // Leaving the loop over a handle leaves the process: it can be ended still.
  await sleeper.kill();
  expect(await sleeper.result).toMatchObject({ exitCode: 137 });
  expect(await again.logs()).toMatchObject({ stdout: "up\n", exitCode: 137 });

  const wc = await client.commands.background(machineId, "wc", { args: ["-c"] });
  await wc.sendStdin("12345");
  await wc.closeStdin();
  expect(await wc.wait()).toMatchObject({ exitCode: 0, stdout: "5\n", complete: true });
});

test("a command that is given up before the service has named it does not run on", async () => {
  const stop = new AbortController();
  const started = client.commands.stream(machineId, "sleep", { args: ["601"], signal: stop.signal });
  stop.abort(new Error("enough"));
  expect(await failureOf(started.result)).toMatchObject({ message: "enough" });
  const running = (await client.commands.list(machineId)).filter(
    ({ command, running: isRunning }) => isRunning && command.includes("601"),
  );
  expect(running).toEqual([]);
});

describe("a watched folder", () => {
  const next = async (changes: AsyncIterator<FileChange>): Promise<FileChange> => {
    const change = await changes.next();
    if (change.done === true) throw new Error("the watch ended");
    return change.value;
  };
  const until = async (changes: AsyncIterator<FileChange>, path: string): Promise<FileChange> => {
    for (;;) {
      const change = await next(changes);
      if (change.kind === "change" && change.path === path) return change;
    }
  };

  test("tells its changes, and says where some may have been missed", async () => {
    await client.files.mkdir(machineId, "/tmp/watched/deep");
    await using watch = await client.files.watch(machineId, "/tmp/watched", { recursive: true });
    const changes = watch[Symbol.asyncIterator]();
    await client.commands.run(machineId, "echo 1 > /tmp/watched/deep/one", { shell: true });
    expect(await until(changes, "/tmp/watched/deep/one")).toMatchObject({ kind: "change", name: "deep/one" });
    proxy.cut();
    for (let change = await next(changes); change.kind !== "gap"; change = await next(changes));
    await client.commands.run(machineId, "echo 2 > /tmp/watched/two", { shell: true });
    expect(await until(changes, "/tmp/watched/two")).toMatchObject({ event: "create" });
  });

  test("ends with its time, with its folder, and when it is stopped", async () => {
    await client.files.mkdir(machineId, "/tmp/brief");
    const timed = await client.files.watch(machineId, "/tmp/brief", { timeoutMs: 50 });
    const seen: FileChange[] = [];
    for await (const change of timed) seen.push(change);
    expect(seen).toEqual([]);
    const stopped = await client.files.watch(machineId, "/tmp/brief");
    const reading = stopped[Symbol.asyncIterator]().next();
    await stopped.stop();
    expect(await failureOf(reading)).toMatchObject({ code: "watch_stopped" });
    await using gone = await client.files.watch(machineId, "/tmp/brief");
    await client.commands.run(machineId, "rmdir", { args: ["/tmp/brief"] });
    const ended = (async () => {
      for await (const _ of gone);
    })();
    expect(await failureOf(ended)).toMatchObject({ code: "machine_not_ready" });
  });

  test("that there is none of is an error", async () => {
    const none = await failureOf(client.files.watch(machineId, "/tmp/there-is-none"));
    expect(none).toMatchObject({
      machineId,
      message: expect.stringContaining("/tmp/there-is-none") as string,
    });
  });
});

test("the monitor shows all machines, what they use and how they change, anew after a cut", async () => {
  const abort = new AbortController();
  const items = client.monitor({ intervalMs: 100, includeProcesses: true, signal: abort.signal });
  const until = async (isIt: (item: MonitorItem) => boolean): Promise<MonitorItem> => {
    for (;;) {
      const { value } = await items.next();
      if (isIt(value)) return value;
    }
  };
  const first = await until(() => true);
  expect(first).toMatchObject({ kind: "machines", machines: [{ id: machineId, status: "running" }] });
  await until((item) => item.kind === "processes" && item.machineId === machineId);
  expect(await until((item) => item.kind === "metrics")).toMatchObject({
    machineId,
    metrics: { cpuCount: 1 },
  });
  const { id } = await client.machines.create({ vcpus: 1, memoryMb: 256, timeoutMs: 3_600_000 });
  await until(
    (item) => item.kind === "machine" && item.machineId === id && item.machine.status === "running",
  );
  await client.machines.delete(id);
  await until((item) => item.kind === "removed" && item.machineId === id);
  proxy.cut();
  await until((item) => item.kind === "machines");
  abort.abort(new Error("enough"));
  expect(await failureOf(items.next())).toMatchObject({ message: "enough" });
});
