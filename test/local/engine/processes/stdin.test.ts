/** What is sent to a command that runs. */
import { createHash, randomBytes } from "node:crypto";
import { all, bytesOf, Plane, soon } from "./plane";

describe.each(["sandbox", "process"] as const)("stdin of a command in a %s machine", (driver) => {
  let plane: Plane;
  const closeOf = (pid: number) => plane.processes.closeStdin(plane.machineId, pid);

  beforeAll(async () => {
    plane = await Plane.open(driver);
  });

  afterAll(async () => {
    await plane.end();
  });

  test("a megabyte makes the round through cat and ends with it", async () => {
    const data = randomBytes(1_000_000);
    const { pid } = await plane.start(["cat"], { stdin: "open" });
    const read = all(plane.follow(pid));
    for (let at = 0; at < data.length; at += 123_456) await plane.send(pid, data.subarray(at, at + 123_456));
    await closeOf(pid);
    const events = await read;
    expect(bytesOf(events, "stdout").equals(data)).toBe(true);
    expect(events.at(-1)).toMatchObject({ process: { exitCode: 0 } });
  });

  test("what is sent together comes in the order of sending", async () => {
    const { pid } = await plane.start(["sha256sum"], { stdin: "open" });
    const parts = Array.from({ length: 50 }, () => randomBytes(5000));
    await Promise.all(parts.map((part) => plane.send(pid, part)));
    await closeOf(pid);
    await plane.ended(pid);
    const sum = createHash("sha256").update(Buffer.concat(parts)).digest("hex");
    expect((await plane.processes.logs(plane.machineId, pid)).stdout).toContain(sum);
  });

  test("is closed from the start where it was not asked for", async () => {
    const { pid } = await plane.start("cat; read -r _ </dev/zero");
    const refused = { code: "stdin_closed" };
    await expect(plane.send(pid, "x")).rejects.toMatchObject(refused);
    await expect(closeOf(pid)).rejects.toMatchObject(refused);
    await plane.processes.kill(plane.machineId, pid);
  });

  test("takes nothing after it was closed, and closing again does no harm", async () => {
    const { pid } = await plane.start("cat; sleep 1000", { stdin: "open" });
    await plane.send(pid, "first");
    await closeOf(pid);
    await closeOf(pid);
    await expect(plane.send(pid, "second")).rejects.toMatchObject({ code: "stdin_closed" });
    await plane.untilWritten(pid, "first");
    await plane.processes.kill(plane.machineId, pid);
  });

  test("refuses what a command will never read: it has ended, or has closed its stdin", async () => {
    const ended = await plane.start(["true"], { stdin: "open" });
    await plane.ended(ended.pid);
    await expect(plane.send(ended.pid, "x")).rejects.toMatchObject({ code: "stdin_closed" });
    await expect(closeOf(ended.pid)).rejects.toMatchObject({ code: "stdin_closed" });
    const closed = await plane.start("exec <&-; echo closed; exec sleep 1000", { stdin: "open" });
    await plane.untilWritten(closed.pid, "closed");
    await expect(plane.send(closed.pid, "x")).rejects.toMatchObject({ code: "stdin_closed" });
    await plane.processes.kill(plane.machineId, closed.pid);
    await expect(plane.send(4711, "x")).rejects.toMatchObject({ code: "process_not_found" });
  });

  test("waits for a command that does not read, until it reads, is ended, or the sender gives up", async () => {
    const large = Buffer.alloc(300_000, "x");
    const lazy = await plane.start(
      "while [ ! -e /tmp/read-now ]; do sleep 0.01; done; wc -c; rm /tmp/read-now",
      {
        stdin: "open",
      },
    );
    let taken = false;
    const sending = plane.send(lazy.pid, large).then(() => (taken = true));
    await plane.run("sleep 0.05");
    expect(taken).toBe(false);
    await plane.run(["touch", "/tmp/read-now"]);
    await sending;
    await closeOf(lazy.pid);
    await plane.untilWritten(lazy.pid, "300000");

    const deaf = await plane.start(["sleep", "1000"], { stdin: "open" });
    const abort = new AbortController();
    const given = plane.send(deaf.pid, large, abort.signal);
    abort.abort(new Error("given up"));
    await expect(given).rejects.toThrow("given up");
    const cut = plane.send(deaf.pid, large);
    cut.catch(() => undefined);
    await plane.processes.kill(plane.machineId, deaf.pid);
    await expect(cut).rejects.toMatchObject({ code: "stdin_closed" });
  });

  test("many commands that do not read hold nothing else up", async () => {
    const pids = await Promise.all(
      Array.from({ length: 12 }, async () => (await plane.start(["sleep", "1000"], { stdin: "open" })).pid),
    );
    const abort = new AbortController();
    const stuck = pids.map((pid) =>
      plane.send(pid, Buffer.alloc(200_000), abort.signal).catch(() => "aborted"),
    );
    // More writers than libuv has threads: files are still read and commands still run.
    expect((await plane.run("echo still here")).stdout).toBe("still here\n");
    abort.abort();
    expect(await Promise.all(stuck)).toEqual(pids.map(() => "aborted"));
    await Promise.all(pids.map((pid) => plane.processes.kill(plane.machineId, pid)));
    expect(await plane.processes.ended(plane.machineId, pids[0] ?? 0, soon())).toMatchObject({
      exitCode: 137,
    });
  });
});
