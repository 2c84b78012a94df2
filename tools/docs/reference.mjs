/**
 * `npm run docs`: writes the resource reference, made from the schema, into the README; with `--check` it only says whether
 * what stands there is up to date.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { format } from "prettier";
import { root } from "../setup/node-modules.mjs";

const require = createRequire(import.meta.url);
const { machineReference } = require(join(root, "provider/dist/machine/reference.js"));

const cell = (text) => text.replaceAll("|", "\\|").replaceAll("\n", " ");
const table = (head, rows) =>
  [head, head.map(() => "---"), ...rows].map((row) => `| ${row.map(cell).join(" | ")} |`).join("\n");

const entries = machineReference();
const text = [
  "Arguments:",
  "",
  table(
    ["argument", "type", "default", "meaning", "a change"],
    entries
      .filter(({ kind }) => kind === "argument")
      .map((e) => [
        `\`${e.name}\``,
        `\`${e.type}\``,
        e.default ? `\`${e.default}\`` : "",
        e.description,
        e.change,
      ]),
  ),
  "",
  "Outputs, besides the arguments:",
  "",
  table(
    ["output", "type", "meaning"],
    entries
      .filter(({ kind }) => kind === "output")
      .map((e) => [`\`${e.name}\``, `\`${e.type}\``, e.description]),
  ),
].join("\n");

const file = join(root, "README.md");
const begin = "<!-- machine reference: begin (npm run docs) -->";
const end = "<!-- machine reference: end -->";
const before = readFileSync(file, "utf8");
const [head, rest] = before.split(begin);
const tail = rest?.split(end)[1];
if (tail === undefined) throw new Error(`README.md has lost the lines "${begin}" and "${end}"`);
const after = await format(`${head}${begin}\n\n${text}\n\n${end}${tail}`, {
  parser: "markdown",
  printWidth: 110,
});

if (!process.argv.includes("--check")) writeFileSync(file, after);
else if (after !== before) {
  console.error('The resource reference in README.md is not what the schema says: run "npm run docs".');
  process.exitCode = 1;
}
