/**
 * `npm test`: everything that must hold, one step after the other, and a last line "N passed, N failed" in which each
 * test counts, and so does each step that is no test.
 */
import { spawn, spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findPulumi, NoPulumiError } from "../pulumi/find.mjs";
import { progressOn } from "../pulumi/progress.mjs";
import { ownNode, root } from "../setup/node-modules.mjs";
import { installPostgres } from "./postgres.mjs";

const bin = (path) => join(root, "node_modules", path);
const node = (...args) => spawnSync(ownNode, args, { cwd: root, stdio: "inherit" }).status === 0;

/** Longer than the tests ever take, and well within the limit of a CI job. */
const jestLimitMs = 30 * 60_000;
/** After its results are written jest has nothing left to do but to end. */
const jestGraceMs = 15_000;

/** False when jest had to be ended: a test hung, or left something open. */
async function runJest(outputFile, tmp) {
  const args = ["--disable-warning=ExperimentalWarning", bin("jest/bin/jest.js"), "--json"];
  const child = spawn(ownNode, [...args, `--outputFile=${outputFile}`], {
    cwd: root,
    stdio: "inherit",
    env: { ...process.env, TMPDIR: tmp },
  });
  let endedByItself = true;
  const end = () => {
    endedByItself = false;
    console.error("FAILED: jest did not end by itself: a test hangs, or left something open");
    child.kill("SIGKILL");
  };
  const timers = [setTimeout(end, jestLimitMs)];
  const watch = setInterval(() => {
    if (!existsSync(outputFile)) return;
    clearInterval(watch);
    timers.push(setTimeout(end, jestGraceMs));
  }, 1_000);
  await new Promise((resolve) => child.once("exit", resolve));
  clearInterval(watch);
  timers.forEach(clearTimeout);
  return endedByItself;
}

/** Processes and mounts that name this folder, in words; the processes are ended. */
function leftIn(folder) {
  if (process.platform !== "linux") return [];
  const mounts = readFileSync("/proc/mounts", "utf8")
    .split("\n")
    .filter((line) => line.includes(folder));
  const processes = readdirSync("/proc").flatMap((pid) => {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
      if (!command.includes(folder)) return [];
      process.kill(Number(pid), "SIGKILL");
      return [`process ${pid} ${command.slice(0, 200)}`];
    } catch {
      return []; // no process, or it has just ended
    }
  });
  return [...processes, ...mounts];
}

async function jest() {
  const folder = mkdtempSync(join(tmpdir(), "machines-tests-"));
  const outputFile = join(folder, "results.json");
  const tmp = join(folder, "tmp");
  mkdirSync(tmp);
  // Some tests are run as another user.
  chmodSync(folder, 0o755);
  chmodSync(tmp, 0o1777);
  const ended = await runJest(outputFile, tmp);
  const left = leftIn(tmp);
  for (const text of left) console.error(`FAILED: left behind by a test: ${text}`);
  try {
    const results = JSON.parse(readFileSync(outputFile, "utf8"));
    // A file that did not even load has no failed test in it, but it failed.
    const failed = results.numFailedTests + results.numRuntimeErrorTestSuites + (ended ? 0 : 1) + left.length;
    return { passed: results.numPassedTests, failed };
  } catch {
    // No results at all: jest itself said why.
    return { passed: 0, failed: 1 };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function pulumi() {
  try {
    await findPulumi({ log: progressOn(process.stderr) });
    return true;
  } catch (error) {
    if (!(error instanceof NoPulumiError)) throw error;
    console.error(error.message);
    return false;
  }
}

const steps = [
  ["compile the packages", () => node(bin("typescript/bin/tsc"), "--build")],
  ["type-check tests and examples", () => node(bin("typescript/bin/tsc"), "-p", "test/tsconfig.json")],
  ["lint", () => node(bin("eslint/bin/eslint.js"), ".", "--max-warnings", "0")],
  ["formatting", () => node(bin("prettier/bin/prettier.cjs"), "--check", "--log-level", "warn", ".")],
  ["generated documents are up to date", () => node(join(root, "tools/docs/reference.mjs"), "--check")],
  ["PostgreSQL for the store's tests", installPostgres],
  ["the Pulumi CLI", pulumi],
];

let passed = 0;
let failed = 0;
for (const [name, run] of steps) {
  console.log(`== ${name}`);
  if (await run()) passed++;
  else {
    failed++;
    console.error(`FAILED: ${name}`);
  }
}
console.log("== tests");
const tests = await jest();
passed += tests.passed;
failed += tests.failed;
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
