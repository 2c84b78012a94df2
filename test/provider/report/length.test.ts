import fc from "fast-check";
import { markdownOf, minMaxLength } from "../../../provider/src/report/markdown";
import { digestOf, madeStep, reportFrom } from "./digests";
import { nodesOf, parsed } from "./rendered";

/** A preview of so many machines, each with values of this length. */
function manyMachines(count: number, valueLength: number, messages = 0): string {
  const value = "`x`".repeat(Math.ceil(valueLength / 3));
  const steps = Array.from({ length: count }, (_, index) =>
    madeStep({
      op: index % 2 ? "update" : "delete",
      name: `machine ${String(index)} \u202e ${value.slice(0, 200)}`,
      old: {
        vcpu: 1,
        env: Object.fromEntries(Array.from({ length: 20 }, (_unused, n) => [`A${String(n)}`, value])),
      },
      new: { vcpu: 2, env: { A: `${value}!` } },
    }),
  );
  const diagnostics = Array.from({ length: messages }, (_, index) => ({
    severity: index % 2 ? "error" : "warning",
    message: `${String(index)} ${value}\n${value}`,
    urn: `urn:pulumi:dev::shop::t::n${String(index)}`,
  }));
  return digestOf(steps, { diagnostics });
}

test("a report is never longer than allowed, and never broken", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.nat(400),
      fc.nat(2_000),
      fc.nat(30),
      fc.constantFrom(minMaxLength, 20_000, 65_000),
      async (count, valueLength, messages, maxLength) => {
        const markdown = markdownOf(reportFrom(manyMachines(count, valueLength, messages)), maxLength);
        expect(markdown.length).toBeLessThanOrEqual(maxLength);
        const nodes = nodesOf(await parsed(markdown));
        const html = nodes.flatMap(({ type, value = "" }) => (type === "html" ? [value] : []));
        const opened = html.filter((value) => value.startsWith("<details>")).length;
        expect(html.filter((value) => value === "</details>")).toHaveLength(opened);
        expect(nodes.filter(({ lang }) => lang === "diff")).toHaveLength(opened);
      },
    ),
    { numRuns: 25 },
  );
});

test("what is left out is counted", () => {
  const markdown = markdownOf(reportFrom(manyMachines(1_000, 10)), 20_000);
  const rows = markdown.split("\n").filter((line) => /^\| (?:🔴|🔵)/u.test(line)).length;
  const details = markdown.match(/<details>/g)?.length ?? 0;
  expect(markdown).toContain(`*… and ${String(1_000 - rows)} more resources.*`);
  expect(markdown).toContain(`*… and ${String(1_000 - details)} more property diffs.*`);
  expect(rows).toBeGreaterThan(20);
});

test("the worst comes first, so that it is not what is left out", () => {
  const markdown = markdownOf(reportFrom(manyMachines(1_000, 10)), 20_000);
  expect(markdown).toContain("| 🔴 |");
  expect(markdown).not.toContain("| 🔵 |");
});

test("a diff of many lines, and a message of many, are cut with their number", () => {
  const env = Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`A${String(index)}`, index]));
  const message = Array.from({ length: 900 }, (_, index) => `line ${String(index)}`).join("\n");
  const markdown = markdownOf(
    reportFrom(
      digestOf([madeStep({ op: "update", old: { env: {} }, new: { env } })], {
        diagnostics: [{ severity: "error", message }],
      }),
    ),
  );
  expect(markdown).toMatch(/# … and 300 more\n/);
  expect(markdown).toMatch(/… and \d+ more lines\n```/);
});
