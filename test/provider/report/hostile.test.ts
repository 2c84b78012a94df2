/** Names, values and messages of others: whatever they are, the report has the same form and says what they are. */
import fc from "fast-check";
import { code, codeInHtml, oneVisibleLine } from "../../../provider/src/report/escape";
import { markdownOf } from "../../../provider/src/report/markdown";
import { markerOf } from "../../../provider/src/report/marker";
import { digestOf, madeStep, reportFrom } from "./digests";
import { looseText, nodesOf, parsed, skeleton, type Node } from "./rendered";

const pieces = [
  "|",
  "\\",
  "\\|",
  "`",
  "```",
  "~~~",
  "\n",
  "\r\n",
  "\n\n",
  "\t",
  "@team",
  "@org/team",
  "#12",
  "GH-3",
  "<b>",
  "</details>",
  "<summary>",
  "<!--",
  "-->",
  "<script>alert(1)</script>",
  "<img src=x onerror=y>",
  "&lt;",
  "&#60;",
  "](https://example.com)",
  "![x](y)",
  "[x]",
  "[x]: y",
  "https://example.com",
  "www.example.com",
  "a@example.com",
  "**",
  "__",
  "~~",
  "# ",
  "- ",
  "> ",
  "1. ",
  "|---|",
  "$x$",
  ":tada:",
  "[^1]",
  "::",
  "%2D",
  "--",
  "{{",
  "${{ x }}",
  "\u202e",
  "\u2066",
  "\u200b",
  "\u200d",
  "\ufeff",
  "\u0000",
  "\u001b[31m",
  "\u007f",
  "\u2028",
  "\u00a0",
  "\ud800",
  "\u{e0041}",
  "e\u0301\u0301\u0301\u0301\u0301\u0301",
  "é",
  "名",
  "שלום",
  "🚀",
  " ",
  "web",
  "a".repeat(300),
];
const hostile = fc
  .array(
    fc.oneof(
      { weight: 4, arbitrary: fc.constantFrom(...pieces) },
      fc.string({ unit: "binary", maxLength: 6 }),
    ),
    {
      minLength: 1,
      maxLength: 8,
    },
  )
  .map((parts) => parts.join(""));

/** A report with the text wherever a text of others can be. */
function documentWith(text: string): string {
  const machine = { vcpu: 1, from: { snapshot: text }, env: { [`k${text}`]: text } };
  const steps = [
    madeStep({ op: "create", name: text, new: machine }),
    madeStep({
      op: "replace",
      name: `r${text}`,
      old: { env: { A: text } },
      new: { env: { A: "x" } },
      replaceReasons: [`k${text}`],
    }),
  ];
  const diagnostics = ["error", "warning"].map((severity) => ({
    severity,
    message: `m${text}`,
    urn: `urn:pulumi:dev::shop::t::n${text}`,
  }));
  return markdownOf(reportFrom(digestOf(steps, { diagnostics })));
}

const isolated = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;

describe("a hostile text", () => {
  let form: unknown;
  beforeAll(async () => (form = skeleton(await parsed(documentWith("web")))));

  test("changes nothing of the form of a report, and is no mention, no link and no markup", async () => {
    await fc.assert(
      fc.asyncProperty(hostile, async (text) => {
        const markdown = documentWith(text);
        const tree = await parsed(markdown);
        expect(skeleton(tree)).toEqual(form);
        const loose = looseText(tree);
        expect(loose).not.toMatch(/@|https?:|www\.|#\d/);
        expect(loose.replace(/\n/g, "")).not.toMatch(isolated);
        for (const line of markdown.split("\n")) expect(line).not.toMatch(isolated);
      }),
      { numRuns: 300, examples: [["x\n```\n# h\n@team\n"], ["~~~\n```text\n</details>"]] },
    );
  });

  test("is what a reader sees, where it can be seen", async () => {
    const visible = fc.string({
      unit: fc.constantFrom(..."ab1|`<>&@#*_[]()!\\-~\"'"),
      minLength: 1,
      maxLength: 20,
    });
    await fc.assert(
      fc.asyncProperty(visible, async (text) => {
        const tree = await parsed(`| a |\n|---|\n| ${code(text)} |\n`);
        const cell = nodesOf(tree).filter(({ type }) => type === "tableCell")[1] as Node;
        expect(
          nodesOf(cell)
            .map(({ type, value }) => (type === "html" ? "" : (value ?? "")))
            .join(""),
        ).toBe(text);
      }),
    );
  });

  test("in HTML is letters, digits, spaces and entities only", () => {
    fc.assert(
      fc.property(hostile, (text) => {
        expect(codeInHtml(text)).toMatch(/^<code>(?:[\p{L}\p{M}\p{N} ]|&#\d+;)*<\/code>$/u);
      }),
    );
  });

  test("is one line, and no longer than allowed", () => {
    fc.assert(
      fc.property(hostile, fc.integer({ min: 1, max: 50 }), (text, max) => {
        const line = oneVisibleLine(text, max);
        expect(line).not.toMatch(isolated);
        // A character that is not seen becomes at most ten.
        expect(line.length).toBeLessThanOrEqual(max * 10 + 1);
      }),
    );
  });
});

describe("the marker", () => {
  test("is one comment, whatever the stack is called", () => {
    fc.assert(
      fc.property(hostile, hostile, (project, stack) => {
        expect(markerOf(project, stack)).toMatch(
          /^<!-- pulumi-machines report: [A-Za-z0-9._%-]*\/[A-Za-z0-9._%-]* -->$/,
        );
        expect(markerOf(project, stack).slice(4, -3)).not.toContain("--");
      }),
    );
  });

  test("is another one for another stack", () => {
    fc.assert(
      fc.property(hostile, hostile, hostile, hostile, (project, stack, otherProject, otherStack) => {
        const same = project === otherProject && stack === otherStack;
        // Lone surrogates are all one and the same to UTF-8.
        fc.pre([project, stack, otherProject, otherStack].every((text) => text.isWellFormed()));
        expect(markerOf(project, stack) === markerOf(otherProject, otherStack)).toBe(same);
      }),
    );
  });

  test("is readable for a usual one", () => {
    expect(markerOf("my-shop", "org.dev_1")).toBe("<!-- pulumi-machines report: my-shop/org.dev_1 -->");
  });
});
