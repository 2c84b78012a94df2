/** Runs the two command lines of the quickstart, and says plainly which one failed. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { ownNode, root } from "../setup/node-modules.mjs";

export class StepFailed extends Error {}

async function run(file, args, { quiet = false } = {}) {
  const child = spawn(file, args, { cwd: root, stdio: ["inherit", quiet ? "pipe" : "inherit", "inherit"] });
  let output = "";
  child.stdout?.on("data", (chunk) => (output += chunk));
  const [code] = await once(child, "close");
  return { code, output };
}

async function must(what, result) {
  const { code, output } = await result;
  if (code !== 0) throw new StepFailed(`${what} failed (exit code ${code}); its message is above.`);
  return output;
}

const localCli = join(root, "local", "bin", "machines-local.cjs");
const pulumiCli = join(root, "tools", "pulumi", "run.mjs");

export const local = (args, options) =>
  must(`machines-local ${args[0]}`, run(ownNode, [localCli, ...args], options));
export const pulumi = (args, options) =>
  must(`pulumi ${args[0]}`, run(ownNode, [pulumiCli, ...args], options));
/** The exit code, for questions whose answer may be no. */
export const ask = async (args) => (await run(ownNode, [localCli, ...args], { quiet: true })).code === 0;
