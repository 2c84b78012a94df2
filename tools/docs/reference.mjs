/**
 * `npm run docs`: writes docs/reference.md from the schemas of the resources; with `--check` it only says whether what stands
 * there is up to date.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { format } from "prettier";
import { root } from "../setup/node-modules.mjs";

const require = createRequire(import.meta.url);
const { references } = require(join(root, "provider/dist/references.js"));
const { changeEffects } = require(join(root, "provider/dist/machine/changes.js"));
const { capabilities } = require(join(root, "provider/dist/controlplane/capabilities.js"));

const cell = (text) => text.replaceAll("|", "\\|").replaceAll("\n", " ");
const table = (head, rows) =>
  [head, head.map(() => "---"), ...rows].map((row) => `| ${row.map(cell).join(" | ")} |`).join("\n");

const resourceText = ({ title, summary, entries }) => [
  `## ${title}`,
  "",
  summary,
  "",
  table(
    ["argument", "type", "default", "meaning", "a change"],
    entries
      .filter(({ kind }) => kind === "argument")
      .map((e) => [
        e.required ? `**\`${e.name}\`**` : `\`${e.name}\``,
        `\`${e.type}\``,
        e.default ? `\`${e.default}\`` : "",
        e.description,
        e.change,
      ]),
  ),
  "",
  table(
    ["output", "type", "meaning"],
    entries
      .filter(({ kind }) => kind === "output")
      .map((e) => [`\`${e.name}\``, `\`${e.type}\``, e.description]),
  ),
  "",
];

const words = { "in place": "in place", restart: "restarts", replace: "**replaces**", none: "no change" };
/** Which capability an argument, or a member of one, needs. */
const needs = {
  template: "templates",
  from: "snapshots",
  beforeReplace: "snapshots",
  env: "env",
  cwd: "cwd",
  metadata: "metadata",
  lifetime: "lifetime",
  ephemeral: "ephemeral",
  autoResume: "autoResume",
  "network.egress": "egress",
  "network.allowPublicTraffic": "ingress",
  "network.maskRequestHost": "ingress",
};
const effectOn = (name, effects) => (backend) => {
  const capability = needs[name] ?? needs[name.split(".")[0]];
  const has = capability === undefined || ![false, "none"].includes(capabilities[backend][capability]);
  return has ? words[effects[backend]] : "not there";
};

const effects = [
  "### What a change of a machine does, by backend",
  "",
  "A replacement makes the new machine before it destroys the old one, and the disk is lost, unless `beforeReplace` is " +
    '`"snapshot"`. A preview says so. What a backend does not have is refused by the preview.',
  "",
  table(
    ["argument", "local", "dedalus", "nullspace"],
    Object.entries(changeEffects).map(([name, on]) => [
      `\`${name}\``,
      ...["local", "dedalus", "nullspace"].map(effectOn(name, on)),
    ]),
  ),
  "",
];

const text = [
  "# Resource reference",
  "",
  "Made from the schemas by `npm run docs`. Arguments in bold are required. Every argument takes a Pulumi input. Durations are " +
    'texts such as `"30s"`, `"15m"`, `"7d3h"`, or `"never"`.',
  "",
  ...references().flatMap((resource) => [
    ...resourceText(resource),
    ...(resource.title === "Machine" ? effects : []),
  ]),
].join("\n");

const file = join(root, "docs", "reference.md");
const after = await format(text, { parser: "markdown", printWidth: 110 });
if (!process.argv.includes("--check")) writeFileSync(file, after);
else if (after !== readFileSync(file, "utf8")) {
  console.error('docs/reference.md is not what the schemas say: run "npm run docs".');
  process.exitCode = 1;
}
