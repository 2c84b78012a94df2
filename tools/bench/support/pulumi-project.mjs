/** A Pulumi project, backend and home of its own in a temporary folder, which takes its packages from the repository. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ownNode, root } from "../../setup/node-modules.mjs";
import { monotonicMs } from "./clock.mjs";

/** Creates nothing and returns at once: what is left is the engine's own time. */
const noop = `exports.provider = {
  async check(olds, news) { return { inputs: news }; },
  async create(properties) { return { id: "noop", outs: properties }; },
};
`;

/**
 * Three kinds of resource: a Machine; a no-op without properties; and a no-op with the inputs, outputs and URN of a
 * Machine, since the engine has to carry those whoever provides them.
 */
const program = (noopFile) => `const pulumi = require("@pulumi/pulumi");
const { BENCH_KIND: kind, BENCH_COUNT: count } = process.env;
const size = { vcpu: 0.25, memoryMiB: 256, storageGiB: 1 };
const type = "pulumi-nodejs:dynamic/bench:Noop";
const __provider = ${JSON.stringify(`exports.handler = () => require(${JSON.stringify(noopFile)}).provider;`)};

const inputs = {
  ...size, desiredState: "running", __stackIdentity: "0".repeat(36),
};
const outputs = {
  phase: "running", reason: "ready", retryable: false, revision: "4", autosleepSeconds: 300, schemaVersion: 1,
  createdAt: "2026-01-01T00:00:00.000Z", lastTransitionAt: "2026-01-01T00:00:00.000Z", __generation: 0,
};
class Noop extends pulumi.CustomResource {
  constructor(name) {
    super(type, name, { __provider });
  }
}
class Shaped extends pulumi.CustomResource {
  constructor(name) {
    super(type, name, { ...inputs, ...outputs, lastError: undefined, __provider, __urn: pulumi.createUrn(name, type) });
  }
}
const kinds = {
  noop: Noop,
  shaped: Shaped,
  machine: class { constructor(name) { new (require("pulumi-machines").Machine)(name, size); } },
};
for (let number = 0; number < Number(count); number++) new kinds[kind]("r-" + number);
`;

/** `up({ kind, count, parallel })` deploys a new stack and resolves with the milliseconds of the whole command. */
export function makeProject(folder, settings) {
  const project = join(folder, "project");
  const backend = join(folder, "backend");
  const tmp = join(folder, "tmp");
  for (const each of [project, backend, tmp]) mkdirSync(each, { recursive: true });
  symlinkSync(join(root, "node_modules"), join(project, "node_modules"));
  const noopFile = join(project, "noop.cjs");
  writeFileSync(noopFile, noop);
  writeFileSync(join(project, "index.js"), program(noopFile));
  writeFileSync(join(project, "package.json"), '{ "name": "bench", "main": "index.js" }\n');
  writeFileSync(
    join(project, "Pulumi.yaml"),
    "name: bench\nruntime:\n  name: nodejs\n  options:\n    typescript: false\n",
  );

  const where = JSON.parse(
    execFileSync(ownNode, [join(root, "tools", "pulumi", "run.mjs"), "--where"], { encoding: "utf8" }),
  );
  const env = {
    ...process.env,
    ...where.environment,
    ...settings,
    PULUMI_BACKEND_URL: `file://${backend}`,
    PULUMI_HOME: join(folder, "home"),
    PULUMI_CONFIG_PASSPHRASE: "bench",
    XDG_STATE_HOME: join(folder, "user-state"),
    // The language host leaves its pipes behind.
    TMPDIR: tmp,
  };
  delete env.PULUMI_ACCESS_TOKEN;
  const pulumi = async (args, more) => {
    const child = spawn(join(where.binDir, "pulumi"), [...args, "--non-interactive"], {
      cwd: project,
      env: { ...env, ...more },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => (output += text));
    const [code] = await once(child, "close");
    if (code !== 0) throw new Error(`pulumi ${args.join(" ")} ended with ${String(code)}:\n${output}`);
  };

  let stacks = 0;
  const up = async ({ kind, count, parallel }) => {
    const stack = `bench-${String(++stacks)}`;
    await pulumi(["stack", "init", stack]);
    const startedAt = monotonicMs();
    await pulumi(
      [
        ...["up", "--yes", "--skip-preview", "--stack", stack],
        ...(parallel === undefined ? [] : ["--parallel", String(parallel)]),
      ],
      { BENCH_KIND: kind, BENCH_COUNT: String(count) },
    );
    return monotonicMs() - startedAt;
  };
  return { version: where.version, up };
}
