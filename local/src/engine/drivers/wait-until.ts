import { setTimeout as sleep } from "node:timers/promises";

/** Asks again every `everyMs` until the answer is yes; answers whether it came within `withinMs`. */
export async function waitUntil(
  isSo: () => boolean | Promise<boolean>,
  { withinMs, everyMs = 5 }: { withinMs: number; everyMs?: number },
): Promise<boolean> {
  const end = performance.now() + withinMs;
  for (;;) {
    if (await isSo()) return true;
    if (performance.now() >= end) return false;
    await sleep(everyMs);
  }
}
