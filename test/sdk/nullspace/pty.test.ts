/** Terminals of a scripted service, cut at every frame; what the embedded control plane does not do, others may. */
import fc from "fast-check";
import { Pty, type CreateTerminalOptions } from "../../../sdk/src/nullspace/pty";
import type { Terminal } from "../../../sdk/src/nullspace/terminal";
import { failureOf } from "./client-to";
import { contextOf, key, type TestContext } from "./exec-client";
import { fakeTerminal, session, type FakeTerminal, type TerminalScript } from "./pty-server";

const open: AsyncDisposable[] = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each[Symbol.asyncDispose]();
});

async function serve(
  script: TerminalScript,
): Promise<{ fake: FakeTerminal; context: TestContext; pty: Pty }> {
  const fake = await fakeTerminal(script);
  const context = contextOf(fake.url);
  open.push(fake, context);
  return { fake, context, pty: new Pty(context) };
}

/** Bytes, with null for each that is known to be missing, and undefined for a place where nobody knows. */
async function readAll(terminal: Terminal): Promise<(number | null | undefined)[]> {
  const seen: (number | null | undefined)[] = [];
  for await (const each of terminal) {
    if (each.kind === "output") for (const byte of each.data) seen.push(byte);
    else if (each.bytes === undefined) seen.push(undefined);
    else seen.push(...new Array<null>(each.bytes).fill(null));
  }
  return seen;
}

// Bytes that are no UTF-8, so that only the encoded form of a frame is right.
const pieces = ["one\r\n", "t\xff\xfewo\r\n", "\x1b[1mthree\x1b[0m", "fo", "\xc3", "\xa9ur\r\n"].map((text) =>
  Buffer.from(text, "latin1"),
);
const whole = [...Buffer.concat(pieces)];
const places = pieces.flatMap((_, at) =>
  [false, true].flatMap((within) => [0, 2].map((away) => ({ after: at + 1, within, away }))),
);

describe.each(["frames", "start"] as const)("where the service counts (%s)", (counts) => {
  test.each(places)(
    "a connection that breaks after $after frames (within one: $within, $away pieces missed) loses no byte",
    async (cut) => {
      const { fake, pty } = await serve({ pieces, counts, cuts: [cut], exitCode: 5 });
      const terminal = await pty.create("mch_1");
      expect(await readAll(terminal)).toEqual(whole);
      expect(await terminal.result).toEqual({ exitCode: 5, complete: true, gaps: [] });
      expect(fake.frames.map(({ type }) => type)).toEqual(["pty_start", "pty_connect"]);
    },
  );

  test("any cuts, whatever is kept and repeated: each byte comes once, in its place, or is missing by count", async () => {
    const piece = fc.uint8Array({ minLength: 1, maxLength: 30 }).map((bytes) => Buffer.from(bytes));
    const cut = fc.record({
      after: fc.integer({ min: 1, max: 8 }),
      within: fc.boolean(),
      away: fc.integer({ min: 0, max: 5 }),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(piece, { maxLength: 30 }),
        fc.array(cut, { maxLength: 6 }),
        fc.integer({ min: 0, max: 40 }),
        fc.option(fc.integer({ min: 0, max: 60 }), { nil: undefined }),
        async (some, cuts, repeats, keepBytes) => {
          const kept = keepBytes === undefined ? {} : { keepBytes };
          await using fake = await fakeTerminal({ pieces: some, cuts, counts, repeats, ...kept });
          await using context = contextOf(fake.url);
          const terminal = await new Pty(context).create("mch_1");
          const seen = await readAll(terminal);
          const all = [...Buffer.concat(some)];
          expect(seen).toHaveLength(all.length);
          expect(seen.every((byte, at) => byte === null || byte === all[at])).toBe(true);
          const missing = seen.filter((byte) => byte === null).length;
          const { complete, gaps } = await terminal.result;
          expect(gaps.reduce((sum, { bytes = NaN }) => sum + bytes, 0)).toBe(missing);
          expect(complete).toBe(missing === 0);
          if (keepBytes === undefined) expect(missing).toBe(0);
        },
      ),
      { numRuns: 60 },
    );
  });
});

test.each(places)(
  "where the service does not count, $after frames (within one: $within, $away pieces missed) leave a gap of unknown size",
  async (cut) => {
    const { pty } = await serve({ pieces, cuts: [cut] });
    const terminal = await pty.create("mch_1");
    const seen = await readAll(terminal);
    const before = pieces.slice(0, cut.after - 1);
    // The piece whose frame broke was written, too.
    const after = pieces.slice(cut.after + cut.away);
    expect(seen).toEqual([...Buffer.concat(before), undefined, ...Buffer.concat(after)]);
    expect(await terminal.result).toEqual({ exitCode: 0, complete: false, gaps: [{ bytes: undefined }] });
  },
);

test("is never opened twice: where the connection breaks before its answer, that is said", async () => {
  const { fake, pty } = await serve({ pieces, cuts: [{ after: 0 }] });
  const error = await failureOf(pty.create("mch_1"));
  expect(error).toMatchObject({
    name: "CommandError",
    code: "command_unknown",
    message: expect.stringContaining("pty.list") as string,
  });
  expect(fake.frames).toHaveLength(1);
});

test("asks in the wire's words, and joins by session or pid", async () => {
  const { fake, pty } = await serve({ pieces, counts: "frames" });
  const options: CreateTerminalOptions = { cwd: "/srv", envs: { A: "1" } };
  await (
    await pty.create("mch_1", options)
  ).result;
  await (
    await pty.connect("mch_1", { sessionId: "pty_one" })
  ).result;
  await (
    await pty.connect("mch_1", { pid: 77 })
  ).result;
  const id = expect.any(String) as string;
  expect(fake.frames).toEqual([
    { type: "pty_start", id, cols: 120, rows: 30, cwd: "/srv", envs: { A: "1" } },
    { type: "pty_connect", id, session_id: "pty_one" },
    { type: "pty_connect", id, pid: 77 },
  ]);
  expect(fake.upgrades).toEqual(new Array(3).fill("/v1/machines/mch_1/ws?channel=pty"));
});

test("what is typed while the connection is away waits for the next one, and keeps its order", async () => {
  const { fake, pty } = await serve({ pieces, counts: "frames", holdAt: 3, cuts: [{ after: 3, away: 0 }] });
  const terminal = await pty.create("mch_1");
  const reading = readAll(terminal);
  while (fake.frames.length < 2) await new Promise(setImmediate);
  const long = "x".repeat(600_000);
  await Promise.all([terminal.input("first "), terminal.input(Buffer.from(long)), terminal.input(" last")]);
  expect(await reading).toEqual(whole);
  expect(fake.typed()).toBe(`first ${long} last`);
  // Once it has ended nobody takes any more.
  expect(await failureOf(terminal.input("late"))).toMatchObject({ code: "terminal_ended", pid: 77 });
});

test("a machine that cannot be reached any more is given up after its time", async () => {
  const unavailable = "HTTP/1.1 503 Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
  const script = { refuse: (count: number) => (count > 1 ? unavailable : undefined) };
  const { context, pty } = await serve({ pieces, counts: "frames", cuts: [{ after: 2 }], script });
  const before = context.deps.now();
  const terminal = await pty.create("mch_1", { reattachMs: 20_000 });
  expect(await failureOf(readAll(terminal))).toMatchObject({ name: "AnswerError" });
  expect(context.deps.now() - before).toBeGreaterThanOrEqual(20_000);
  expect(await failureOf(terminal.result)).toMatchObject({ name: "AnswerError" });
});

describe("a service that", () => {
  const answering = (...frames: unknown[]): TerminalScript => ({
    pieces: [],
    script: {
      socket: (ws) =>
        ws.once("message", (data: Buffer) => {
          const { id } = JSON.parse(data.toString()) as { id: string };
          for (const frame of frames)
            ws.send(typeof frame === "string" ? frame : JSON.stringify({ id, ...(frame as object) }));
        }),
    },
  });
  const started = { type: "pty_started", ...session };

  test("refuses, says why, without the key", async () => {
    const { pty } = await serve(answering({ type: "error", message: `no, ${key}`, code: "PTY_LIMIT" }));
    const error = await failureOf(pty.create("mch_1"));
    expect(error).toMatchObject({ name: "CommandError", code: "pty_limit", machineId: "mch_1" });
    expect(error.message).not.toContain(key);
  });

  test("breaks off with an error hands on what came before", async () => {
    const output = { type: "pty_output", ...session, data: "abc" };
    const { pty } = await serve(
      answering(started, output, { type: "error", message: "the machine stopped" }),
    );
    const terminal = await pty.create("mch_1");
    const seen: string[] = [];
    const reading = (async () => {
      for await (const { data } of terminal) seen.push(Buffer.from(data).toString());
    })();
    expect(await failureOf(reading)).toMatchObject({ code: "exec_failed", pid: 77 });
    expect(seen).toEqual(["abc"]);
  });

  test("says types that nobody knows, or frames of others, is heard no further than it speaks to us", async () => {
    const strange = [{ type: "pty_weather" }, { type: "pty_output", id: "another", ...session, data: "no" }];
    const exit = { type: "exec_exit", pid: 77, exit_code: 9 };
    const { pty } = await serve(answering(...strange, { ...started, cols: 90, rows: 20 }, ...strange, exit));
    const terminal = await pty.create("mch_1");
    expect(await terminal.started).toEqual({ sessionId: "pty_one", pid: 77, cols: 90, rows: 20 });
    expect(await readAll(terminal)).toEqual([]);
    expect(await terminal.result).toMatchObject({ exitCode: 9, complete: true });
  });

  test.each([["{"], ["[]"], ['{"type":"pty_output","id":1}']])("sends %s is told so", async (text) => {
    const { pty } = await serve(answering(started, text));
    expect(await failureOf((await pty.create("mch_1")).result)).toMatchObject({ code: "unreadable_frame" });
  });

  test("does not know the exit code is no success", async () => {
    const { pty } = await serve(answering(started, { type: "pty_exited", ...session, exit_code: -1 }));
    expect(await failureOf((await pty.create("mch_1")).result)).toMatchObject({ code: "exit_unknown" });
  });
});
