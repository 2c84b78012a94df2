/**
 * `npm run pulumi -- ARGUMENTS`: the Pulumi CLI with the project's settings (see README.md here).
 * `node tools/pulumi/run.mjs --where`: says as JSON which CLI, which backend and which environment that is.
 * `node tools/pulumi/run.mjs --env`: the same environment as lines for a shell.
 */
import { spawn } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { findUsersBackend, projectFolder } from "./backend.mjs";
import { isLocal, localState, pulumiEnvironment } from "./environment.mjs";
import { findPulumi, NoPulumiError } from "./find.mjs";
import { progressOn } from "./progress.mjs";
import { endBySignal, hasTerminal, isForwarded, onEndingSignal } from "./terminal-signals.mjs";

const repoRoot = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");

/** npm changes into the repository before it runs a script; the user means the folder where they typed. */
const userFolder = () =>
  (process.env.npm_lifecycle_event === "pulumi" && process.env.INIT_CWD) || process.cwd();

class Cancelled extends Error {
  constructor(signalName) {
    super(`Cancelled by ${signalName}`);
    this.signalName = signalName;
  }
}

async function find(log) {
  const abort = new AbortController();
  const stopListening = onEndingSignal((name) => abort.abort(name));
  try {
    return await findPulumi({ log, signal: abort.signal });
  } catch (error) {
    throw abort.signal.aborted ? new Cancelled(abort.signal.reason) : error;
  } finally {
    stopListening();
  }
}

async function settle(args, cwd) {
  const log = progressOn(process.stderr);
  const cli = await find(log);
  const env = process.env;
  const usersBackend = await findUsersBackend({ env, cwd: projectFolder(args, cwd) });
  const local = localState(repoRoot);
  const ownBackend = isLocal({ env, usersBackend }, local);
  if (ownBackend) await mkdir(local.folder, { recursive: true });
  const environment = pulumiEnvironment({ binDir: cli.binDir, repoRoot, env, usersBackend });
  return { cli, usersBackend: ownBackend ? undefined : usersBackend, environment, log };
}

const additionsIn = (environment) =>
  Object.entries(environment).filter(([name, value]) => process.env[name] !== value);

async function printWhere(args) {
  const { cli, usersBackend, environment } = await settle(args, userFolder());
  const additions = additionsIn(environment);
  const backend = usersBackend
    ? { own: false, ...usersBackend }
    : { own: true, url: environment.PULUMI_BACKEND_URL };
  console.log(JSON.stringify({ ...cli, backend, environment: Object.fromEntries(additions) }, undefined, 2));
}

/** For `eval` in sh, bash or zsh: from then on, `pulumi` and the tools of this repository are on the PATH. */
async function printEnvironment(args) {
  const { environment } = await settle(args, userFolder());
  for (const [name, value] of additionsIn(environment)) {
    console.log(`export ${name}='${value.replaceAll("'", `'\\''`)}'`);
  }
}

async function runCli(args) {
  const cwd = userFolder();
  const { cli, usersBackend, environment, log } = await settle(args, cwd);
  if (usersBackend)
    log.note(`Using your Pulumi backend (${usersBackend.url ?? "Pulumi Cloud"}, from ${usersBackend.from}).`);
  const terminal = hasTerminal();
  // Before the CLI is there: a signal in between would end this process and leave the CLI alone.
  const stopListening = onEndingSignal((name) => {
    if (isForwarded(name, { terminal })) child.kill(name);
  });
  const child = spawn(join(cli.binDir, "pulumi"), args, { cwd, env: environment, stdio: "inherit" });
  const [code, signal] = await new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (...end) => resolve(end));
  });
  stopListening();
  if (signal) endBySignal(signal);
  else process.exitCode = code;
}

const args = process.argv.slice(2);
try {
  const [first, ...rest] = args;
  if (first === "--where") await printWhere(rest);
  else if (first === "--env") await printEnvironment(rest);
  else await runCli(args);
} catch (error) {
  if (error instanceof Cancelled) {
    process.stderr.write("Cancelled; nothing was left behind.\n");
    endBySignal(error.signalName);
  } else if (error instanceof NoPulumiError) {
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  } else {
    throw error;
  }
}
