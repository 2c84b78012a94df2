/** docs/errors.md explains every code and every error class that the sources hold, and its links lead somewhere. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  capitals,
  documentedCodes,
  errorClasses,
  firstArguments,
  messagesIn,
  namedLiterals,
  unionMembers,
  type Found,
} from "./codes-in-source";

const root = join(__dirname, "..", "..");
const page = readFileSync(join(root, "docs", "errors.md"), "utf8");
/** With one backtick or two. */
const spans = /(`+)(.+?)\1(?!`)/g;
const inCode = new Set(
  [...page.matchAll(spans)].flatMap(([, , text = ""]) => [text, ...text.split(/[\s,]+/)]),
);

/** Named on the page as code, or as the word in parentheses after a message. */
const missing = (found: readonly Found[]): string[] => [
  ...new Set(
    found
      .filter(({ text }) => !inCode.has(text) && !new RegExp(`\\b${text}\\b`).test(prose))
      .map(({ text, where }) => `${text} (${where})`),
  ),
];
const prose = page.replaceAll(spans, "");

/** Not codes of errors: what `why` tells, and the names of zod's own issues. */
const isNoCode = ({ text, where }: Found): boolean =>
  text === "custom" || /provider\/src\/stack\/sentence/.test(where);

test.each<[string, () => Found[], atLeast: number]>([
  ["codes of the SDK", () => namedLiterals("sdk/src", "code"), 40],
  [
    "codes that the SDK's classes list",
    () => ["sdk/src/errors.ts", "sdk/src/nullspace/command-error.ts"].flatMap(documentedCodes),
    25,
  ],
  ["error classes of the SDK", () => errorClasses("sdk/src"), 15],
  [
    "codes of the provider",
    () => namedLiterals("provider/src", "code").filter((found) => !isNoCode(found)),
    4,
  ],
  [
    "error classes of the provider",
    () => errorClasses("provider/src").filter(({ text }) => text !== "ConvergenceError"),
    15,
  ],
  ["ways in which a convergence fails", () => unionMembers("provider/src", "FailureKind"), 5],
  ["codes that the Nullspace dialect answers", () => unionMembers("local/src", "WireCode"), 20],
  ["reasons of refused uploads", () => unionMembers("local/src", "UploadFailureReason"), 10],
  ["reasons of failed machines", () => firstArguments("local/src", "DriverError"), 30],
  [
    "codes of executions, deliveries and events",
    () => namedLiterals("local/src", "errorCode", "error_code"),
    10,
  ],
  ["codes of the Dedalus dialect", () => capitals("local/src/dialects/dedalus"), 6],
  ["codes of the key check", () => capitals("local/src").filter(({ where }) => /http-auth/.test(where)), 3],
])("explains the %s", (_what, find, atLeast) => {
  const found = find();
  // Where the sources change their form, nothing would be found, and nothing would be missing.
  expect(found.length).toBeGreaterThanOrEqual(atLeast);
  expect(missing(found)).toEqual([]);
});

test("explains the codes that the contract of Nullspace declares", () => {
  const { components } = JSON.parse(
    readFileSync(join(root, "test", "contracts", "nullspace.json"), "utf8"),
  ) as { components: { schemas: Record<string, { enum: string[] }> } };
  const declared = ["ErrorResponseCode", "UploadFailureReason"].flatMap(
    (name) => components.schemas[name]?.enum ?? [],
  );
  expect(declared.length).toBeGreaterThan(50);
  expect(missing(declared.map((text) => ({ text, where: "nullspace.json" })))).toEqual([]);
});

test("explains the codes that the contract of Dedalus shows in its examples", () => {
  const shown = ["AUTH_REQUIRED", "AUTH_INVALID", "AUTH_ORG_MISMATCH", "AUTH_SCOPE_FORBIDDEN", "RATE_LIMITED"]
    .concat(["DEPENDENCY_UNAVAILABLE", "IDEMPOTENCY_KEY_REUSED", "REVISION_MISMATCH", "INVALID_STATE"])
    .concat(["SLEEP_HOLD_WINDOW_ACTIVE"]);
  expect(missing(shown.map((text) => ({ text, where: "Dedalus" })))).toEqual([]);
});

/** What stands for something else in the messages of the page. */
const filledIn =
  /\.\.\.|"|`|\b[A-Z]+(?:_[A-Z]+)*\b|\b\d[\d.]*(?:m\d+)?\w*\b|\b(?:running|sleep|a Machine|failed after|not changed)\b/;
const shortest = 10;

test("the messages that it quotes are those of the sources", () => {
  const said = messagesIn("provider/src", "provider/bin", "sdk/src", "local/src", "local/bin");
  const tables = [...page.matchAll(/^\| ((?:message|line)[^|]*)\|[^]*?\n\n/gm)].map(([table]) => table);
  const quoted = tables
    .flatMap((table) => table.split("\n").slice(2))
    .flatMap((row) => [...(row.split("|")[1] ?? "").matchAll(spans)].map(([, , text = ""]) => text))
    .filter((text) => !/^\w+$/.test(text));
  expect(quoted.length).toBeGreaterThan(60);
  const wrong = quoted.filter((text) =>
    text.split(filledIn).some((piece) => piece.trim().length >= shortest && !said.includes(piece.trim())),
  );
  expect(wrong).toEqual([]);
});

test("the guide of doctor explains everything that it finds", () => {
  const guide = readFileSync(join(root, "docs", "looking-after.md"), "utf8");
  const kinds = unionMembers("provider/src", "FindingKind");
  expect(kinds.length).toBeGreaterThan(10);
  expect(kinds.filter(({ text }) => !guide.includes(`| \`${text}\``))).toEqual([]);
});

test("every link leads somewhere, also within the page", () => {
  const anchors = new Set(
    [...page.matchAll(/^#+ (.*)$/gm)].map(([, title = ""]) =>
      title
        .toLowerCase()
        .replaceAll(/[^a-z0-9 -]/g, "")
        .replaceAll(" ", "-"),
    ),
  );
  const targets = [...page.matchAll(/\]\((?!https?:)([^)]+)\)/g)].map(([, target = ""]) => target);
  expect(targets.length).toBeGreaterThan(10);
  for (const target of targets) {
    const [file = "", anchor] = target.split("#");
    if (file !== "") expect([target, existsSync(join(root, "docs", file))]).toEqual([target, true]);
    else expect([target, anchors.has(anchor ?? "")]).toEqual([target, true]);
  }
});
