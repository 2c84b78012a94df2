/**
 * Real previews, recorded by test/e2e/report.test.ts, and what is said of each: golden/NAME.md is what a reviewer sees.
 * RECORD=1 writes the golden files anew.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { exitCodes } from "../../../provider/src/report/exit-codes";
import { markdownOf } from "../../../provider/src/report/markdown";
import { nodesOf, parsed } from "./rendered";
import { recorded, recordings, reportFrom } from "./digests";

const golden = join(__dirname, "golden");
const names = readdirSync(recordings).map((file) => file.replace(/\.json$/, ""));

test.each(names)("a real preview is told as its golden file has it: %s", async (name) => {
  const markdown = markdownOf(reportFrom(recorded(name)));
  const file = join(golden, `${name}.md`);
  if (process.env.RECORD) {
    mkdirSync(golden, { recursive: true });
    writeFileSync(file, markdown);
  }
  expect(markdown).toBe(readFileSync(file, "utf8"));
  const kinds = new Set(nodesOf(await parsed(markdown)).map(({ type }) => type));
  for (const type of ["link", "image", "linkReference", "footnote"]) expect(kinds).not.toContain(type);
});

test.each([
  ["empty", 0],
  ["same", 0],
  ["create", 2],
  ["drift", 2],
  ["repair", 2],
  ["changes", 3],
  ["changes-steps", 3],
  ["destroy", 3],
  ["check-failure", 1],
  ["program-error", 1],
  ["no-plane", 1],
])("the exit code of %s is %i", (name, code) => {
  expect(exitCodes[reportFrom(recorded(name)).outcome]).toBe(code);
});

test("every recording has its golden file, and no golden file is left over", () => {
  expect(readdirSync(golden).sort()).toEqual(names.map((name) => `${name}.md`).sort());
});
