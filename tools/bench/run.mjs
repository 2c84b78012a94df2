/**
 * `npm run bench [-- NAMES...] [-- --quick]`: measures the built packages, each measurement in a process of its own, and
 * writes docs/benchmarks.md. A run of some names only, or a quick one, prints its tables and leaves that page alone.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildPackages } from "../setup/build.mjs";
import { ownNode, root } from "../setup/node-modules.mjs";
import { machineShape } from "./support/machine-shape.mjs";
import { page, section, verdicts } from "./support/report.mjs";

const names = [
  "provider",
  "pulumi-up",
  "sse",
  "creates",
  "streams",
  "start",
  "exec-stream",
  "history",
  "snapshots",
  "sockets",
];
const pageFile = join(root, "docs", "benchmarks.md");
const measurementFile = (name) => fileURLToPath(new URL(`measurements/${name}.mjs`, import.meta.url));

const args = process.argv.slice(2);
const quick = args.includes("--quick");
const wanted = args.filter((arg) => arg !== "--quick");
const unknown = wanted.filter((name) => !names.includes(name));
if (unknown.length > 0) {
  console.error(
    `There is no measurement ${unknown.join(", ")}: choose from ${names.join(", ")}, and --quick.`,
  );
  process.exit(2);
}

async function measure(name) {
  const child = fork(measurementFile(name), quick ? ["--quick"] : [], {
    execPath: ownNode,
    execArgv: [
      "--disable-warning=ExperimentalWarning",
      "--disable-warning=MODULE_TYPELESS_PACKAGE_JSON",
      "--expose-gc",
    ],
    cwd: root,
  });
  let result;
  child.on("message", (message) => (result = message));
  const [code, signal] = await once(child, "exit");
  if (result) return result;
  return {
    title: name,
    failure: `its process ended with ${signal ?? `code ${String(code)}`}; see the output`,
  };
}

buildPackages();
const shape = machineShape();
const results = [];
for (const name of wanted.length > 0 ? names.filter((each) => wanted.includes(each)) : names) {
  console.log(`\n=== ${name}`);
  const startedAt = Date.now();
  const result = await measure(name);
  const seconds = ((Date.now() - startedAt) / 1000).toFixed(0);
  console.log(`\n${section(result)}(${seconds} s)`);
  results.push(result);
}

console.log(`\n${verdicts(results)}`);
if (wanted.length === 0 && !quick) {
  const { version } = JSON.parse(readFileSync(join(root, "provider", "package.json"), "utf8"));
  const text = page({ results, shape, version, at: new Date() });
  const { format } = await import("prettier");
  writeFileSync(pageFile, await format(text, { parser: "markdown", printWidth: 110 }));
  console.log(`Written: ${pageFile}`);
}
if (results.some((result) => result.failure !== undefined)) process.exitCode = 1;
