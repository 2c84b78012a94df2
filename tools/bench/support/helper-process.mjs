/** The other side of `startHelper`: answers its requests until the parent hangs up. */
import { readFileSync } from "node:fs";

export function answer(requests, close) {
  process.on("message", ({ asks, name, value }) => {
    Promise.resolve(requests[name](value)).then(
      (result) => process.send({ answers: asks, value: result }),
      (error) => process.send({ answers: asks, error: error.stack }),
    );
  });
  process.once("disconnect", () => void Promise.resolve(close()).finally(() => process.exit()));
}

export const tell = (name, value) => process.send({ tells: name, value });

/** How many files this process may open; infinite where the system does not say. */
export function openFilesLimit() {
  try {
    const limit = /^Max open files\s+(\S+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
    return limit === "unlimited" || limit === undefined ? Infinity : Number(limit);
  } catch {
    return Infinity; // Not Linux.
  }
}

/** Resident bytes after a collection that gives free pages back to the system, so that no garbage hides what is in use. */
export async function residentBytes() {
  for (let round = 0; round < 3; round++) {
    globalThis.gc({ type: "major", execution: "sync", flavor: "last-resort" });
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return process.memoryUsage.rss();
}
