/** Much output: what it costs in memory, on disk and in the store, and what a reader who is too slow is told. */
import { appendFileSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ProcessEvent } from "../../../../local/src/engine/processes/api";
import { OutputRecorder } from "../../../../local/src/engine/processes/recorder";
import { type Database, openStore } from "../../../../local/src/store/store";
import { Plane } from "./plane";

const megabyte = 1_048_576;

test("a reader who does not read holds nothing in memory; what is beyond 256 MiB is lost, and told exactly", async () => {
  const plane = await Plane.open("process");
  const bytes = 300 * megabyte;
  const line = "0123456789abcde\n";
  const { pid, executionId } = await plane.start(`yes ${line.trim()} | head -c ${String(bytes)}`);
  const { events } = await plane.processes.follow(plane.machineId, pid, {
    from: { stdout: 0, stderr: 0 },
    signal: AbortSignal.timeout(60_000),
  });
  const reader = events[Symbol.asyncIterator]();
  const next = async () => (await reader.next()).value as ProcessEvent | undefined;
  const before = process.memoryUsage.rss();
  let at = 0;
  let lost = 0;
  const first = await next();
  if (first?.type === "output") at = first.data.length;
  expect(at).toBeGreaterThan(0);
  await plane.ended(pid);
  expect(process.memoryUsage.rss() - before).toBeLessThan(120 * megabyte);

  const seen: string[] = [];
  let wrong = 0;
  for (let event = await next(); event && event.type !== "exit"; event = await next()) {
    if (event.from !== at) wrong++;
    if (seen.at(-1) !== event.type) seen.push(event.type);
    if (event.type === "output") {
      const begin = at % line.length;
      const expected = (line + line).slice(begin, begin + line.length);
      if (event.data.toString("latin1", 0, line.length) !== expected) wrong++;
      at += event.data.length;
    } else {
      lost += event.bytes;
      at += event.bytes;
    }
  }
  expect(wrong).toBe(0);
  expect(lost).toBeGreaterThan(20 * megabyte);
  expect(at).toBe(bytes);
  // What was dropped, and what was kept; before it what the reader may have read ahead.
  expect(seen.slice(-2)).toEqual(["gap", "output"]);
  expect(seen.length).toBeLessThanOrEqual(3);
  expect(process.memoryUsage.rss() - before).toBeLessThan(120 * megabyte);

  // Once nobody has to read it any more, the disk is given back but for the newest part.
  const spool = join(plane.stateDir, "machines", plane.machineId, "exec", executionId, "stdout");
  while (statSync(spool).blocks * 512 > 11 * megabyte) await new Promise(setImmediate);
  await plane.end();
}, 60_000);

test("output is noted in the store a few times a second, however fast it comes", async () => {
  const stateDir = mkdtempSync(join(tmpdir(), "machines-recorder-"));
  const db = await openStore({ stateDir });
  const path = join(stateDir, "stdout");
  for (const name of ["stdout", "stderr"]) writeFileSync(join(stateDir, name), "");
  let transactions = 0;
  const counting = new Proxy(db, {
    get(target, name: keyof Database) {
      if (name === "transaction") transactions++;
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
  const recorder = new OutputRecorder({
    ...{ db: counting, executionId: "x", now: () => new Date() },
    exec: { stdoutPath: path, stderrPath: join(stateDir, "stderr") },
    report: (message, error) => {
      throw new Error(message, { cause: error });
    },
  });
  await recorder.open();
  const begun = performance.now();
  const count = 400;
  for (let piece = 0; piece < count; piece++) {
    appendFileSync(path, Buffer.alloc(10_000, "x"));
    recorder.pump();
    await new Promise(setImmediate);
  }
  await recorder.settle();
  const quarters = (performance.now() - begun) / 250;
  expect(transactions).toBeLessThanOrEqual(quarters + 2);
  const rows = await db.selectFrom("execution_events").selectAll().orderBy("sequence").execute();
  expect(rows.length).toBeGreaterThan(transactions);
  let at = 0;
  for (const row of rows) {
    expect(row.from_byte).toBe(at);
    at = row.to_byte ?? 0;
  }
  expect(at).toBe(count * 10_000);
  await recorder.close();
  await db.destroy();
  rmSync(stateDir, { recursive: true });
});
