/** A PostgreSQL server for the tests: found, or installed from Debian's packages where that is possible. */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";

const debian = "/usr/lib/postgresql";

const isInstalled = () =>
  existsSync(debian) &&
  readdirSync(debian).some((version) => existsSync(join(debian, version, "bin", "initdb")));

/** True when there is one now; else it has said what to install. */
export function installPostgres() {
  if (isInstalled()) return true;
  const apt = (...args) =>
    spawnSync("apt-get", args, {
      stdio: ["ignore", "ignore", "inherit"],
      // No cluster of its own: the tests start theirs.
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive", PG_CREATECLUSTER_DISABLED: "1" },
    }).status === 0;
  if (process.getuid?.() === 0 && existsSync("/usr/bin/apt-get")) {
    console.log("Installing Debian's package postgresql ...");
    if (apt("update", "-qq") && apt("install", "-y", "-qq", "--no-install-recommends", "postgresql"))
      return isInstalled();
  }
  console.error(
    `No PostgreSQL server under ${debian}: install the package "postgresql" (sudo apt-get install postgresql).`,
  );
  return false;
}
