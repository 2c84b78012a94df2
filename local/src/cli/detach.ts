/** Starts the control plane in a process of its own, and waits until it is ready. */
import { fork } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { defaultStateDir, prepareStateDir, statePaths } from "../state-folder";
import type { DetachableOptions } from "./option-values";
import { type ReadyFacts, warn } from "./ready";

/** What the child tells; the options go to it the same way, so that no key stands in a command line. */
export type ChildMessage =
  | { event: "warning"; line: string }
  | { event: "ready"; facts: ReadyFacts }
  | { event: "failed"; message: string };

const binary = join(__dirname, "..", "..", "bin", "machines-local.cjs");

/** @throws Error with the child's own words when it does not get ready. */
export async function startDetached(options: DetachableOptions): Promise<ReadyFacts> {
  const stateDir = options.stateDir ?? defaultStateDir(process.env);
  prepareStateDir(stateDir);
  // What the process says after its parent is gone, such as the trace of a crash.
  const lastWords = join(statePaths(stateDir).logDir, "stderr.log");
  const output = openSync(lastWords, "w", 0o600);
  const child = fork(binary, ["run-detached"], {
    detached: true,
    cwd: stateDir,
    stdio: ["ignore", output, output, "ipc"],
  });
  closeSync(output);
  const abandon = () => child.kill("SIGTERM");
  process.once("SIGINT", abandon).once("SIGTERM", abandon);
  try {
    return await new Promise<ReadyFacts>((resolve, reject) => {
      child.on("message", (message: ChildMessage) => {
        if (message.event === "warning") warn(message.line);
        else if (message.event === "failed") reject(new Error(message.message));
        else resolve(message.facts);
      });
      child.once("error", reject);
      child.once("exit", (code, signal) => {
        const how = signal ?? `exit code ${String(code)}`;
        reject(
          new Error(`it ended before it was ready (${how}): ${readFileSync(lastWords, "utf8").slice(-2000)}`),
        );
      });
      child.send(options);
    });
  } finally {
    process.off("SIGINT", abandon).off("SIGTERM", abandon);
    child.removeAllListeners();
    if (child.connected) child.disconnect();
    child.unref();
  }
}
