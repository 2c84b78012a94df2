import fc from "fast-check";
import { CommandError } from "../../../sdk/src/nullspace/command-error";
import { refusal } from "../socket-server";
import { commandsOf, contextOf, key, readAll, type TestContext } from "./exec-client";
import { fakeMachine, type Cut, type FakeMachine, type Machine, type Piece } from "./exec-server";

const open: AsyncDisposable[] = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each[Symbol.asyncDispose]();
});
const keep = <T extends AsyncDisposable>(it: T): T => (open.push(it), it);

async function run(machine: Machine): Promise<{ fake: FakeMachine; context: TestContext }> {
  const fake = keep(await fakeMachine(machine));
  return { fake, context: keep(contextOf(fake.url)) };
}

const lines = (count: number): Piece[] =>
  Array.from({ length: count }, (_, at) => ({
    stream: at % 3 === 2 ? "stderr" : "stdout",
    data: `line ${String(at)} – größer\n`,
  }));
const textOf = (pieces: Piece[], stream: string): string =>
  pieces
    .filter((piece) => piece.stream === stream)
    .map(({ data }) => data)
    .join("");
const failureOf = async (work: Promise<unknown>): Promise<Error & { code?: string }> =>
  work.then(
    () => Promise.reject(new Error("it did not fail")),
    (error: Error) => error,
  );

describe("a command that nothing disturbs", () => {
  test("gives its output as it comes, and its exit code", async () => {
    const { fake, context } = await run({ pieces: lines(9), exitCode: 3 });
    const stream = commandsOf(context).stream("mch_1", "npm", {
      args: ["test"],
      cwd: "/w",
      envs: { A: "b" },
      timeoutMs: 90_500,
    });
    const { stdout, stderr } = await readAll(stream);
    expect(stdout).toBe(textOf(lines(9), "stdout"));
    expect(stderr).toBe(textOf(lines(9), "stderr"));
    expect(await stream.result).toMatchObject({ exitCode: 3, complete: true, gaps: [], pid: 4242 });
    expect(await stream.pid).toBe(4242);
    expect(fake.upgrades).toEqual(["/v1/machines/mch_1/ws?channel=exec"]);
    expect(fake.starts).toEqual([
      {
        type: "exec_start",
        id: expect.stringMatching(/^exec_/) as string,
        command: "npm",
        args: ["test"],
        timeout_secs: 91,
        cwd: "/w",
        envs: { A: "b" },
      },
    ]);
  });

  test("is run with callbacks, in order, each awaited", async () => {
    const { context } = await run({ pieces: lines(5) });
    const seen: string[] = [];
    const result = await commandsOf(context).run("mch_1", "x", {
      onStdout: async (data) => {
        await new Promise(setImmediate);
        seen.push(data);
      },
      onStderr: (data) => seen.push(data),
    });
    expect(seen.join("")).toBe(
      lines(5)
        .map(({ data }) => data)
        .join(""),
    );
    expect(result).toMatchObject({ exitCode: 0, complete: true, stdout: textOf(lines(5), "stdout") });
  });

  test("whose result alone is asked for needs no reader", async () => {
    const { context } = await run({ pieces: lines(50) });
    const stream = commandsOf(context).stream("mch_1", "x");
    expect(await stream.result).toMatchObject({ exitCode: 0, complete: true });
    expect(() => stream[Symbol.asyncIterator]()).toThrow("is read already");
  });

  test("may be asked for its result first and read then", async () => {
    const { context } = await run({ pieces: lines(5) });
    const stream = commandsOf(context).stream("mch_1", "x");
    const { result } = stream;
    expect((await readAll(stream)).stdout).toBe(textOf(lines(5), "stdout"));
    expect((await result).complete).toBe(true);
  });

  test("keeps the newest output of a result, and says how much of it went", async () => {
    const pieces: Piece[] = [
      { stream: "stdout", data: "0123456789" },
      { stream: "stdout", data: "äöü" },
    ];
    const { context } = await run({ pieces });
    const result = await commandsOf(context).run("mch_1", "x", {
      maxOutputBytes: 5,
      onStdout: () => undefined,
    });
    expect(result).toMatchObject({
      stdout: "öü",
      complete: false,
      gaps: [{ stream: "stdout", offset: 0, bytes: 12 }],
    });
  });

  test("that the service refuses to start fails with the service's code", async () => {
    const { context } = await run({
      pieces: [],
      script: { refuse: () => refusal(404, { error: "gone", code: "machine_not_found" }) },
    });
    expect(await failureOf(commandsOf(context).stream("mch_1", "x").result)).toMatchObject({
      code: "machine_not_found",
    });
  });
});

describe("a connection that breaks", () => {
  const pieces = lines(6);
  const frames = pieces.length + 2; // And exec_started, and exec_exit.
  const places = Array.from({ length: frames - 1 }, (_, at) => at + 1);
  const ways = places.flatMap((after) =>
    [false, true].flatMap((within) => [0, 2].map((away) => ({ after, within, away }))),
  );

  test.each(ways)(
    "after $after frames (within one: $within, $away pieces missed) loses nothing where the service counts",
    async (cut) => {
      const { fake, context } = await run({ pieces, counts: true, cuts: [cut] });
      const stream = commandsOf(context).stream("mch_1", "x");
      expect(await readAll(stream)).toEqual({
        stdout: textOf(pieces, "stdout"),
        stderr: textOf(pieces, "stderr"),
      });
      expect(await stream.result).toMatchObject({ exitCode: 0, complete: true, gaps: [] });
      expect(fake.starts).toHaveLength(1);
      expect(fake.connects).toHaveLength(1);
    },
  );

  test.each(ways)(
    "after $after frames (within one: $within, $away pieces missed) loses nothing where the logs fill it",
    async (cut) => {
      const { fake, context } = await run({ pieces, cuts: [cut] });
      const stream = commandsOf(context).stream("mch_1", "x");
      expect(await readAll(stream)).toEqual({
        stdout: textOf(pieces, "stdout"),
        stderr: textOf(pieces, "stderr"),
      });
      expect(await stream.result).toMatchObject({ exitCode: 0, complete: true, gaps: [] });
      expect(fake.starts).toHaveLength(1);
    },
  );

  const piece = fc.record({
    stream: fc.constantFrom<Piece["stream"]>("stdout", "stderr"),
    data: fc.string({ unit: "binary", minLength: 1, maxLength: 40 }).map((data) => data.toWellFormed()),
  });
  const cut: fc.Arbitrary<Cut> = fc.record({
    after: fc.integer({ min: 1, max: 8 }),
    within: fc.boolean(),
    away: fc.integer({ min: 0, max: 5 }),
  });

  test.each([true, false])(
    "anywhere, any number of times, brings each byte once and in order (counting: %s)",
    async (counts) => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(piece, { maxLength: 30 }),
          fc.array(cut, { maxLength: 6 }),
          async (pieces, cuts) => {
            await using fake = await fakeMachine({ pieces, cuts, counts, exitCode: 7 });
            await using context = contextOf(fake.url);
            const stream = commandsOf(context).stream("mch_1", "x");
            expect(await readAll(stream)).toEqual({
              stdout: textOf(pieces, "stdout"),
              stderr: textOf(pieces, "stderr"),
            });
            expect(await stream.result).toMatchObject({ exitCode: 7, complete: true, gaps: [] });
            expect(fake.starts).toHaveLength(1);
          },
        ),
        { numRuns: 60 },
      );
    },
  );

  test("while the service keeps too little leaves gaps of exactly the bytes that are missing", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(piece, { maxLength: 30 }),
        fc.array(cut, { maxLength: 6 }),
        fc.integer({ min: 0, max: 60 }),
        async (pieces, cuts, keepBytes) => {
          await using fake = await fakeMachine({ pieces, cuts, counts: true, keepBytes });
          await using context = contextOf(fake.url);
          const stream = commandsOf(context).stream("mch_1", "x");
          const at = { stdout: 0, stderr: 0 };
          const whole = {
            stdout: Buffer.from(textOf(pieces, "stdout")),
            stderr: Buffer.from(textOf(pieces, "stderr")),
          };
          let missing = 0;
          for await (const each of stream) {
            expect(each.offset).toBe(at[each.stream]);
            const bytes = each.kind === "gap" ? each.bytes! : Buffer.byteLength(each.data);
            if (each.kind === "gap") missing += bytes;
            else
              expect(whole[each.stream].subarray(at[each.stream], at[each.stream] + bytes).toString()).toBe(
                each.data,
              );
            at[each.stream] += bytes;
          }
          expect(at).toEqual({ stdout: whole.stdout.length, stderr: whole.stderr.length });
          expect((await stream.result).complete).toBe(missing === 0);
        },
      ),
      { numRuns: 60 },
    );
  });

  test.each([1000, 1001, 1011])("with close code %d and no exit is no success", async (code) => {
    const { context } = await run({ pieces, counts: true, cuts: [{ after: 4, code, away: 1 }] });
    const stream = commandsOf(context).stream("mch_1", "x");
    expect((await readAll(stream)).stdout).toBe(textOf(pieces, "stdout"));
    expect(await stream.result).toMatchObject({ exitCode: 0, complete: true });
  });

  test("over and over is attached again, with growing waits", async () => {
    const cuts = Array.from({ length: 9 }, () => ({ after: 1 }));
    const { fake, context } = await run({ pieces, counts: true, cuts });
    await readAll(commandsOf(context).stream("mch_1", "x"));
    expect(fake.connects).toHaveLength(9);
    expect(context.deps.waits).toEqual([0, 188, 375, 750, 1500, 3000, 3750, 3750, 3750]);
  });

  test("before the service has named the process never starts it twice, and says what may be", async () => {
    const { fake, context } = await run({ pieces, cuts: [{ after: 0 }] });
    const error = await failureOf(
      commandsOf(context).run("mch_1", "a", { args: ["b"], onStdout: () => undefined }),
    );
    expect(error).toBeInstanceOf(CommandError);
    expect(error).toMatchObject({
      code: "command_unknown",
      machineId: "mch_1",
      details: { candidates: "4242" },
    });
    expect(fake.starts).toHaveLength(1);
    expect(fake.upgrades).toHaveLength(1);
  });

  test("says so when only the logs are left and they do not tell the exit", async () => {
    const refuse = (count: number) =>
      count > 1 ? refusal(404, { error: "no", code: "not_found" }) : undefined;
    const told = await run({ pieces, cuts: [{ after: 4, away: 9 }], script: { refuse } });
    const stream = commandsOf(told.context).stream("mch_1", "x");
    expect((await readAll(stream)).stdout).toBe(textOf(pieces, "stdout"));
    expect(await stream.result).toMatchObject({ exitCode: 0, complete: true });
    const silent = await run({
      pieces,
      cuts: [{ after: 4, away: 9 }],
      logsHideExit: true,
      script: { refuse },
    });
    const error = await failureOf(commandsOf(silent.context).stream("mch_1", "x").result);
    expect(error).toMatchObject({ code: "exit_unknown", pid: 4242, name: "CommandError" });
    const mute = await run({ pieces, cuts: [{ after: 4, away: 9 }], restStatus: 404, script: { refuse } });
    expect(await failureOf(commandsOf(mute.context).stream("mch_1", "x").result)).toMatchObject({
      code: "exit_unknown",
    });
  });

  test("and cannot be opened any more is given up after its time, not before", async () => {
    const refuse = (count: number) => (count > 1 ? refusal(503, "") : undefined);
    const { context } = await run({
      pieces,
      holdAt: 3,
      cuts: [{ after: 3 }],
      restStatus: 503,
      script: { refuse },
    });
    const before = context.deps.now();
    const error = await failureOf(commandsOf(context).stream("mch_1", "x", { reattachMs: 60_000 }).result);
    expect(error).toMatchObject({ code: "exit_unknown", retryable: true });
    expect(context.deps.now() - before).toBeGreaterThanOrEqual(60_000);
  });

  test("where nothing is kept is a gap of unknown size, never a silent one", async () => {
    const { context } = await run({ pieces, cuts: [{ after: 4, away: 1 }], restStatus: 404 });
    const stream = commandsOf(context).stream("mch_1", "x");
    expect((await readAll(stream)).stdout).toContain("<?>");
    expect(await stream.result).toMatchObject({
      exitCode: 0,
      complete: false,
      gaps: [{ bytes: undefined }, { bytes: undefined }],
    });
  });
});

describe("a command that is given up", () => {
  const held: Machine = { pieces: lines(6), counts: true, holdAt: 3 };

  test("by its signal is killed, and then its reader gets the reason", async () => {
    const { fake, context } = await run(held);
    const controller = new AbortController();
    const stream = commandsOf(context).stream("mch_1", "x", { signal: controller.signal });
    const reading = (async () => {
      for await (const { stream: which } of stream)
        if (which === "stderr") controller.abort(new Error("enough"));
    })();
    expect(await failureOf(reading)).toMatchObject({ message: "enough" });
    expect(fake.kills).toBe(1);
    expect(await failureOf(stream.result)).toMatchObject({ message: "enough" });
  });

  test("by its signal may be left running", async () => {
    const { fake, context } = await run(held);
    const signal = AbortSignal.timeout(50);
    const work = commandsOf(context).run("mch_1", "x", { signal, whenAborted: "leave" });
    expect(await failureOf(work)).toMatchObject({ name: "TimeoutError" });
    expect(fake.kills).toBe(0);
  });

  test("while nobody reads is killed all the same", async () => {
    const { fake, context } = await run(held);
    const controller = new AbortController();
    const stream = commandsOf(context).stream("mch_1", "x", { signal: controller.signal });
    await stream.pid;
    controller.abort(new Error("enough"));
    expect(await failureOf(stream.result)).toMatchObject({ message: "enough" });
    expect(fake.kills).toBe(1);
  });

  test("by leaving the loop is killed, and its result says that the end is not known", async () => {
    const { fake, context } = await run(held);
    const stream = commandsOf(context).stream("mch_1", "x");
    for await (const piece of stream) if (piece.data) break;
    expect(fake.kills).toBe(1);
    expect(await failureOf(stream.result)).toMatchObject({ code: "command_abandoned", pid: 4242 });
  });

  test("before it began starts nothing", async () => {
    const { fake, context } = await run(held);
    const stream = commandsOf(context).stream("mch_1", "x", {
      signal: AbortSignal.abort(new Error("never")),
    });
    expect(await failureOf(readAll(stream))).toMatchObject({ message: "never" });
    expect(fake.starts).toHaveLength(0);
  });

  test("by closing the client ends with client_closed", async () => {
    const { context } = await run(held);
    const stream = commandsOf(context).stream("mch_1", "x");
    await stream.pid;
    const reading = failureOf(readAll(stream));
    await context[Symbol.asyncDispose]();
    expect(await reading).toMatchObject({ code: "client_closed" });
  });
});

describe("a command in the background", () => {
  test.each([true, false])("is followed from its start, and waited for (counting: %s)", async (counts) => {
    const { fake, context } = await run({ pieces: lines(8), counts, exitCode: 2 });
    const handle = await commandsOf(context).background("mch_1", "a", { args: ["b"] });
    expect(handle.pid).toBe(4242);
    const result = await handle.wait();
    expect(result).toMatchObject({
      exitCode: 2,
      complete: true,
      stdout: textOf(lines(8), "stdout"),
      stderr: textOf(lines(8), "stderr"),
    });
    expect(fake.starts).toHaveLength(0);
    expect(fake.requests[0]).toBe("POST /v1/machines/mch_1/exec");
    // The end is known: reading once more tells it again.
    expect(await handle.wait()).toMatchObject({ exitCode: 2, stdout: textOf(lines(8), "stdout") });
  });

  test("goes on when its reader disconnects", async () => {
    const { fake, context } = await run({ pieces: lines(8), counts: true, holdAt: 4 });
    const handle = commandsOf(context).connect("mch_1", 4242);
    const waiting = failureOf(handle.wait());
    while (fake.connects.length === 0) await new Promise(setImmediate);
    await handle.disconnect();
    expect(await waiting).toMatchObject({ code: "command_abandoned" });
    fake.go();
    expect(fake.kills).toBe(0);
    expect(await handle.wait()).toMatchObject({ exitCode: 0, stdout: textOf(lines(8), "stdout") });
  });

  test("is fed, ended and listed by its pid", async () => {
    const { fake, context } = await run({ pieces: lines(8), counts: true, holdAt: 4 });
    const commands = commandsOf(context);
    const handle = commands.connect("mch_1", 4242);
    await handle.closeStdin();
    expect(fake.others).toMatchObject([{ type: "exec_stdin_close", pid: 4242 }]);
    await handle.kill();
    expect(fake.kills).toBe(1);
    expect(await handle.wait()).toMatchObject({ exitCode: 137 });
    expect(await commands.list("mch_1")).toEqual([{ pid: 4242, command: "a b", running: false }]);
  });

  test("that the service does not know is refused with the service's code", async () => {
    const { context } = await run({ pieces: [], counts: true });
    const handle = commandsOf(context).connect("mch_1", 17);
    expect(await failureOf(handle.wait())).toMatchObject({ code: "process_not_found", pid: 17 });
  });

  test("is read live, or from a byte on", async () => {
    const pieces: Piece[] = ["abc", "def", "ghi"].map((data) => ({ stream: "stdout", data }));
    const { fake, context } = await run({ pieces, counts: true, holdAt: 2 });
    const handle = commandsOf(context).connect("mch_1", 4242);
    const first = handle.output({ from: "live" });
    while (fake.connects.length === 0) await new Promise(setImmediate);
    fake.go();
    expect((await readAll(first)).stdout).toBe("abcdefghi");
    expect((await readAll(handle.output({ from: "live" }))).stdout).toBe("");
    expect((await readAll(handle.output({ from: { stdout: 4, stderr: 0 } }))).stdout).toBe("efghi");
  });
});

test("closing standard input uses the open connection", async () => {
  const { fake, context } = await run({ pieces: lines(6), holdAt: 3 });
  const stream = commandsOf(context).stream("mch_1", "cat");
  await stream.closeStdin();
  while (fake.others.length === 0) await new Promise(setImmediate);
  expect(fake.others).toMatchObject([{ type: "exec_stdin_close", pid: 4242 }]);
  expect(fake.upgrades).toHaveLength(1);
  fake.go();
  expect((await stream.result).exitCode).toBe(0);
});

test("closing standard input is said again where the connection broke on it", async () => {
  const { fake, context } = await run({ pieces: lines(6), counts: true, holdAt: 3, stdinCuts: 2 });
  const stream = commandsOf(context).stream("mch_1", "cat");
  const read = readAll(stream);
  await stream.closeStdin();
  while (fake.others.length === 0) await new Promise(setImmediate);
  expect(fake.others).toMatchObject([{ type: "exec_stdin_close", pid: 4242 }]);
  fake.go();
  expect((await read).stdout).toBe(textOf(lines(6), "stdout"));
});

test("closing standard input by the pid alone fails where the connection broke on it, and can be repeated", async () => {
  const { fake, context } = await run({ pieces: lines(6), counts: true, holdAt: 3, stdinCuts: 1 });
  const commands = commandsOf(context);
  const stream = commands.stream("mch_1", "cat");
  const handle = commands.connect("mch_1", await stream.pid);
  expect(await failureOf(handle.closeStdin())).toMatchObject({ code: "connection_lost", retryable: true });
  expect(fake.others).toEqual([]);
  await handle.closeStdin();
  expect(fake.others).toMatchObject([{ type: "exec_stdin_close", pid: 4242 }]);
});

test("a slow reader holds the machine's output back", async () => {
  const data = "x".repeat(10_000);
  const pieces: Piece[] = Array.from({ length: 4_000 }, () => ({ stream: "stdout", data }));
  const { fake, context } = await run({ pieces, counts: true });
  let read = 0;
  let most = 0;
  for await (const piece of commandsOf(context).stream("mch_1", "x")) {
    read += piece.data.length;
    if (read % 1_000_000 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    most = Math.max(most, fake.written() * data.length - read);
  }
  expect(read).toBe(40_000_000);
  // What the operating system's own buffers hold counts as well.
  expect(most).toBeLessThan(16_000_000);
});

test("no error of a command shows the key", async () => {
  const script = { refuse: () => refusal(401, { error: `bad ${key}`, code: "unauthorized" }) };
  const { context } = await run({ pieces: [], script });
  const error = await failureOf(commandsOf(context).stream("mch_1", "x").result);
  expect(JSON.stringify([error, error.message, error.stack, error.cause])).not.toContain(key);
});
