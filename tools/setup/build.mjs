/** Compiles the three packages; a no-op when nothing changed. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { ownNode, root } from "./node-modules.mjs";

export function buildPackages() {
  const { status } = spawnSync(ownNode, [join(root, "node_modules/typescript/bin/tsc"), "--build"], {
    cwd: root,
    stdio: "inherit",
  });
  if (status !== 0) {
    console.error("The packages do not compile; the messages are above.");
    process.exit(status ?? 1);
  }
}
