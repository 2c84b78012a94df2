/**
 * Installs the repository's packages when they are missing or older than the lock file, on whatever Node and npm the
 * machine has: this file and what it imports keep to what Node 18 understands.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

/** The Node that the repository brings with its packages. */
export const ownNode = join(root, "node_modules", ".bin", "node");

const stamp = join(root, "node_modules", ".installed");
const wanted = () =>
  createHash("sha256")
    .update(readFileSync(join(root, "package-lock.json")))
    .digest("hex");

/** Runs `npm ci` unless what is installed is what the lock file says. */
export function installPackages() {
  if (existsSync(ownNode) && existsSync(stamp) && readFileSync(stamp, "utf8") === wanted()) return;
  console.log("Installing packages (about a minute) ...");
  const { status } = spawnSync("npm", ["ci", "--no-fund", "--no-audit", "--loglevel=error"], {
    cwd: root,
    stdio: "inherit",
    shell: process.platform === "win32",
  });
  if (status !== 0) {
    console.error('"npm ci" failed; its message is above. It needs the npm registry and npm 9 or newer.');
    process.exit(status ?? 1);
  }
  writeFileSync(stamp, wanted());
}
