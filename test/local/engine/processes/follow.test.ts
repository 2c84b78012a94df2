/** What a command writes, as its readers get it: every byte once and in order, or an exact word on what was lost. */
import { createHash } from "node:crypto";
import fc from "fast-check";
import type { ProcessEvent } from "../../../../local/src/engine/processes/api";
import { all, bytesOf, Plane, soon } from "./plane";

const megabyte = 1_000_000;
const start = { stdout: 0, stderr: 0 };

describe.each(["sandbox", "process"] as const)("output of a command in a %s machine", (driver) => {
  let plane: Plane;

  beforeAll(async () => {
    plane = await Plane.open(driver);
  });

  afterAll(async () => {
    await plane.end();
  });

  test("comes while it is written, both streams, and the exit comes last", async () => {
    const { pid } = await plane.start("echo one; echo two >&2; read -r line; echo $line; exit 3", {
      stdin: "open",
    });
    const seen: ProcessEvent[] = [];
    for await (const event of plane.follow(pid)) {
      seen.push(event);
      if (bytesOf(seen, "stdout").length === 4 && bytesOf(seen, "stderr").length === 4) {
        await plane.send(pid, "on\n");
      }
    }
    expect(bytesOf(seen, "stdout").toString()).toBe("one\non\n");
    expect(bytesOf(seen, "stderr").toString()).toBe("two\n");
    expect(seen.at(-1)).toMatchObject({ type: "exit", process: { pid, exitCode: 3, running: false } });
    expect(seen.filter((event) => event.type === "exit")).toHaveLength(1);
  });

  test("20 MB at full speed reach a reader whole, in pieces of at most 64 KiB", async () => {
    const { pid } = await plane.start(`seq 1 100000000 | head -c ${String(20 * megabyte)}`);
    const hash = createHash("sha256");
    let bytes = 0;
    let largest = 0;
    for await (const event of plane.follow(pid)) {
      expect(event.type).not.toBe("gap");
      if (event.type !== "output") continue;
      expect(event.from).toBe(bytes);
      bytes += event.data.length;
      largest = Math.max(largest, event.data.length);
      hash.update(event.data);
    }
    expect(bytes).toBe(20 * megabyte);
    expect(largest).toBeLessThanOrEqual(65_536);
    expect(hash.digest("hex")).toBe(sha256(numbers(20 * megabyte)));
  });

  test("a reader that was cut anywhere goes on at its byte and gets every byte once", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(5), { minLength: 1, maxLength: 6 }),
        fc.constantFrom("abort", "break"),
        fc.integer({ min: 1, max: 400_000 }),
        async (cuts, how, bytes) => {
          const { pid } = await plane.start(
            `yes "\u00e9\u20ac\u{1f600}-line" | head -c ${String(bytes)} & yes err | head -c 5000 >&2; wait`,
          );
          const seen: ProcessEvent[] = [];
          const at = { ...start };
          for (const cut of [...cuts, Infinity]) {
            const abort = new AbortController();
            let count = 0;
            if (cut === 0) abort.abort();
            for await (const event of plane.follow(pid, { ...at }, abort.signal)) {
              if (event.type !== "exit") expect(event.from).toBe(at[event.stream]);
              if (event.type === "output") at[event.stream] += event.data.length;
              seen.push(event);
              if (++count < cut) continue;
              if (how === "break") break;
              abort.abort();
            }
          }
          const line = Buffer.from("\u00e9\u20ac\u{1f600}-line\n");
          const whole = Buffer.alloc(bytes, line);
          expect(sha256(bytesOf(seen, "stdout"))).toBe(sha256(whole));
          expect(bytesOf(seen, "stderr")).toEqual(Buffer.alloc(5000, "err\n"));
          const pieces = seen.flatMap((event) => (event.type === "output" ? [event] : []));
          const inner = pieces.filter((one) => one.stream === "stdout" && one.from + one.data.length < bytes);
          for (const { data } of inner) expect(data.toString()).not.toContain("\ufffd");
        },
      ),
      { numRuns: 15 },
    );
  });

  test("bytes that are no text arrive as they are", async () => {
    const { pid } = await plane.start(
      `printf '\\377\\376\\000\\200abc\\342\\202'; sleep 0.02; printf '\\254x\\360\\237'`,
    );
    const whole = Buffer.from([0xff, 0xfe, 0, 0x80, 0x61, 0x62, 0x63, 0xe2, 0x82, 0xac, 0x78, 0xf0, 0x9f]);
    const seen = await all(plane.follow(pid));
    expect(bytesOf(seen, "stdout")).toEqual(whole);
    const { stdout } = await plane.processes.logs(plane.machineId, pid);
    expect(stdout).toBe(whole.toString());
  });

  test("a reader of what comes from now on is told where it begins, and begins with a whole character", async () => {
    const { pid } = await plane.start("printf 'old\\342\\202'; read -r _; printf '\\254new'", {
      stdin: "open",
    });
    await plane.untilWritten(pid, "old");
    const bytes = async () => (await plane.processes.get(plane.machineId, pid)).stdoutBytes;
    while ((await bytes()) < 3) await new Promise(setImmediate);
    const { from, events } = await plane.processes.follow(plane.machineId, pid, { signal: soon() });
    expect(from).toEqual({ stdout: 3, stderr: 0 });
    await plane.send(pid, "\n");
    expect(bytesOf(await all(events), "stdout").toString()).toBe("\u20acnew");
  });

  test("an abort ends a waiting reader at once, without an exit", async () => {
    const { pid } = await plane.start("sleep 1000");
    const abort = new AbortController();
    const reading = all(plane.follow(pid, start, abort.signal));
    setImmediate(() => abort.abort());
    expect(await reading).toEqual([]);
    await plane.processes.kill(plane.machineId, pid);
  });

  test("readers do not hinder one another", async () => {
    const { pid } = await plane.start("for i in 1 2 3 4 5 6 7 8 9; do echo $i; sleep 0.005; done");
    const seen = await Promise.all(Array.from({ length: 30 }, () => all(plane.follow(pid))));
    for (const events of seen)
      expect(bytesOf(events, "stdout").toString()).toBe("1\n2\n3\n4\n5\n6\n7\n8\n9\n");
  });

  test("one that ended before is read from any byte", async () => {
    const { pid } = await plane.start("echo 0123456789; echo err >&2");
    await plane.ended(pid);
    const events = await all(plane.follow(pid, { stdout: 4, stderr: 4 }));
    expect(events).toMatchObject([
      { type: "output", stream: "stdout", from: 4, data: Buffer.from("456789\n") },
      { type: "exit" },
    ]);
    expect(await all(plane.follow(pid, "live"))).toMatchObject([{ type: "exit" }]);
  });
});

const sha256 = (data: Buffer): string => createHash("sha256").update(data).digest("hex");

/** The first bytes of 1, 2, 3, ... in lines. */
function numbers(bytes: number): Buffer {
  const lines: string[] = [];
  for (let count = 0, at = 1; count < bytes; at++) {
    lines.push(`${String(at)}\n`);
    count += lines.at(-1)?.length ?? 0;
  }
  return Buffer.from(lines.join("")).subarray(0, bytes);
}
