/** The frame of a measurement's process: its settings, its temporary folder, and its result to the parent. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const quick = process.argv.includes("--quick");

/**
 * Runs `work({ quick, folder, say, undo })` and hands on its result. `folder` is gone afterwards; what `undo` was given
 * runs before, last first, whether the work succeeded or not.
 */
export async function measurement(work) {
  const folder = mkdtempSync(join(tmpdir(), "machines-bench-"));
  // The run was broken off; helpers end by themselves when this process has.
  process.once("disconnect", () => {
    rmSync(folder, { recursive: true, force: true });
    process.exit(1);
  });
  const steps = [];
  try {
    const say = (text) => console.log(`  ${text}`);
    const result = await work({ quick, folder, say, undo: (step) => steps.push(step) });
    await new Promise((resolve) => process.send(result, resolve));
  } finally {
    for (const step of steps.reverse()) await step();
    rmSync(folder, { recursive: true, force: true });
  }
  process.exit(0);
}
