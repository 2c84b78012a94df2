import { open, rename, rm, stat, utimes } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

const heartbeatMs = 5_000;
/** A lock that nobody has touched for this long was left behind by a process that was killed. */
const staleAfterMs = 30_000;
const pollMs = 500;

/**
 * Does `work` while no other process does it, and waits for the other one first (`onWait` is called once). The lock only
 * saves double work: what is made under it is published by an atomic rename, so a lock that was wrongly judged stale
 * (a laptop that slept) costs time and nothing else. Its holder touches it instead of writing a process id, because the
 * cache may be shared between containers.
 */
export async function withLock(file, { signal, onWait }, work) {
  let waited = false;
  while (!(await acquire(file))) {
    if (!waited) onWait?.();
    waited = true;
    await sleep(pollMs, undefined, { signal });
  }
  const heartbeat = setInterval(() => {
    const now = new Date();
    // The lock's folder may have been removed by hand; then there is nothing left to guard.
    utimes(file, now, now).catch(() => undefined);
  }, heartbeatMs);
  try {
    return await work();
  } finally {
    clearInterval(heartbeat);
    await rm(file, { force: true });
  }
}

async function acquire(file) {
  try {
    await (await open(file, "wx")).close();
    return true;
  } catch (error) {
    if (error.code !== "EEXIST") throw error;
  }
  const seen = await stat(file).catch(() => undefined);
  if (seen && Date.now() - seen.mtimeMs > staleAfterMs) {
    const aside = `${file}.stale-${process.pid}`;
    // Whoever renames it first takes it over; for the others it is gone, and they try again.
    await rename(file, aside).catch(() => undefined);
    await rm(aside, { force: true });
  }
  return false;
}
