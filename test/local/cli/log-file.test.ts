/** The log stays of bounded size, and reads well. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { logLine } from "../../../local/src/cli/log-line";
import { LogFile } from "../../../local/src/log-file";

const folder = mkdtempSync(join(tmpdir(), "machines-log-"));
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

it("begins a new file when one is full, keeps a few, and loses no line in between", () => {
  const path = join(folder, "a.log");
  const log = new LogFile(path, 100, 2);
  for (let at = 0; at < 26; at++) log.write(`line ${String(at).padStart(14, "0")}\n`);
  log.close();
  log.write("after the end\n");
  expect(readdirSync(folder).sort()).toEqual(["a.log", "a.log.1", "a.log.2"]);
  const kept = [`${path}.2`, `${path}.1`, path].map((file) => readFileSync(file, "utf8")).join("");
  const numbers = kept.match(/\d+/g)?.map(Number) ?? [];
  expect(numbers).toEqual(Array.from({ length: numbers.length }, (_, at) => 26 - numbers.length + at));
  expect(numbers.length).toBeGreaterThan(10);
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

it("goes on with the file of an earlier life", () => {
  const path = join(folder, "b.log");
  for (const text of ["one\n", "two\n"]) {
    const log = new LogFile(path);
    log.write(text);
    log.close();
  }
  expect(readFileSync(path, "utf8")).toBe("one\ntwo\n");
});

it.each([
  [
    '{"level":30,"time":"T","reqId":"r","method":"GET","url":"/x","status":200,"ms":1.5,"msg":"answered"}',
    "T info  GET /x 200 1.5 ms [r]",
  ],
  ['{"level":40,"time":"T","msg":"careful","driver":"null"}', 'T warn  careful driver="null"'],
  [
    '{"level":50,"time":"T","msg":"broken","err":{"message":"why","stack":"why\\n  at x"}}',
    "T error broken\nwhy\n  at x",
  ],
  ['{"level":30,"ti', '{"level":30,"ti'],
])("shows %s as %s", (line, shown) => {
  expect(logLine(line)).toBe(shown);
});
