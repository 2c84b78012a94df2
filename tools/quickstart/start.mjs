/**
 * `npm run quickstart`: from a fresh clone to three running machines. Runs on any Node: it installs the packages, and
 * the rest runs on the Node that they bring.
 */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { buildPackages } from "../setup/build.mjs";
import { installPackages, ownNode } from "../setup/node-modules.mjs";

installPackages();
buildPackages();
const script = fileURLToPath(new URL("quickstart.mjs", import.meta.url));
const child = spawn(ownNode, [script, ...process.argv.slice(2)], { stdio: "inherit" });
// Ctrl-C reaches the child by the terminal; it decides when all is over.
process.on("SIGINT", () => undefined);
child.on("exit", (code, signal) => {
  process.exitCode = code ?? (signal ? 1 : 0);
});
