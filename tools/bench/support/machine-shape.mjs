/** What the figures were measured on. */
import { readFileSync } from "node:fs";
import { cpus, loadavg, release, totalmem } from "node:os";
import { execFileSync } from "node:child_process";
import { ownNode } from "../../setup/node-modules.mjs";

export function machineShape() {
  const processors = cpus();
  return {
    cpu: `${String(processors.length)} x ${processors[0]?.model.trim() ?? "unknown"}`,
    memory: `${(totalmem() / 2 ** 30).toFixed(0)} GiB`,
    system: `${process.platform} ${release()}${distribution()}`,
    node: execFileSync(ownNode, ["--version"], { encoding: "utf8" }).trim(),
    /** Over 1, 5 and 15 minutes, before the run: on a busy host the figures say less. */
    load: loadavg()
      .map((load) => load.toFixed(1))
      .join(", "),
  };
}

function distribution() {
  try {
    const name = /^PRETTY_NAME="?([^"\n]*)/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1];
    return name ? ` (${name})` : "";
  } catch {
    return ""; // Not every system has the file.
  }
}
