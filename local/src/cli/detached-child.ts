/** The process in the background: gets its options from the one that started it, and tells it when it is ready. */
import { once } from "node:events";
import { startLocal } from "../start-local";
import type { ChildMessage } from "./detach";
import type { DetachableOptions } from "./option-values";
import { readyFacts } from "./ready";
import { serveUntil, StopSignal } from "./start";

const tell = (message: ChildMessage): void => {
  if (process.connected) process.send?.(message);
};

export async function runDetached(): Promise<void> {
  const stop = new StopSignal(["SIGINT", "SIGTERM"]);
  if (!process.send) throw new Error('this command is for "machines-local start --detach" only');
  const [options] = (await once(process, "message")) as [DetachableOptions];
  try {
    const warn = (line: string) => {
      tell({ event: "warning", line });
    };
    const local = await startLocal({ ...options, warn }, { ownProcess: true });
    tell({ event: "ready", facts: readyFacts(local) });
    if (process.connected) process.disconnect();
    await serveUntil(stop, local);
  } catch (error) {
    tell({ event: "failed", message: error instanceof Error ? error.message : String(error) });
    throw error;
  }
}
