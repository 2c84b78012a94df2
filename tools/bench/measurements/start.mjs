/** How soon `machines-local start --json` is ready, and what it then weighs. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { ownNode, root } from "../../setup/node-modules.mjs";
import { monotonicMs } from "../support/clock.mjs";
import { measurement } from "../support/measurement.mjs";
import { median, ms, times } from "../support/statistics.mjs";

const cli = join(root, "local", "bin", "machines-local.cjs");
/** Long enough for what a start leaves to do afterwards. */
const idleMs = 2_000;

/** Starts it, waits for the ready line, and stops it again. */
async function start({ state, driver, idle = false }) {
  const startedAt = monotonicMs();
  const child = spawn(
    ownNode,
    [cli, "start", "--json", "--port", "0", "--state", state, "--driver", driver],
    {
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  const exited = once(child, "exit");
  let said = "";
  child.stderr.on("data", (text) => (said += text));
  try {
    const ready = await Promise.race([readyLine(child), exited.then(() => undefined)]);
    if (ready === undefined) throw new Error(`machines-local start --driver ${driver} ended early: ${said}`);
    const readyMs = monotonicMs() - startedAt;
    if (idle) await sleep(idleMs);
    return { readyMs, rss: residentBytes(child.pid) };
  } finally {
    child.kill("SIGTERM");
    await exited;
  }
}

async function readyLine(child) {
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.startsWith("{") && JSON.parse(line).event === "ready") return line;
  }
  return undefined;
}

/** Of one process, from /proc; undefined where there is none. */
function residentBytes(pid) {
  try {
    return (
      Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${String(pid)}/status`, "utf8"))?.[1]) * 1024
    );
  } catch {
    return undefined;
  }
}

/** A Node that does nothing: what a start cannot be below. */
async function bareNode() {
  const startedAt = monotonicMs();
  await once(spawn(ownNode, ["-e", "0"], { stdio: "ignore" }), "exit");
  return monotonicMs() - startedAt;
}

const MB = (bytes) => `${(bytes / 1e6).toFixed(0)} MB`;

await measurement(async ({ quick, folder, say }) => {
  const rounds = quick ? 3 : 10;
  const rows = [];
  for (const driver of ["null", "auto"]) {
    const first = [];
    const again = [];
    const bare = [];
    for (let round = 0; round < rounds; round++) {
      const state = join(folder, `${driver}-${String(round)}`);
      bare.push(await bareNode());
      first.push((await start({ state, driver })).readyMs);
      again.push((await start({ state, driver })).readyMs);
    }
    const { rss } = await start({ state: join(folder, `${driver}-idle`), driver, idle: true });
    say(`${driver}: ready after ${ms(median(first))}, ${rss === undefined ? "?" : MB(rss)} idle`);
    const ready = (what, samples) => ({
      what: `start to the ready line, \`${driver}\` driver, ${what}`,
      ours: `${ms(median(samples))} (slowest ${ms(Math.max(...samples))})`,
      peer: `\`node -e 0\`: ${ms(median(bare))}`,
      ratio: times(median(samples) / median(bare)),
      ...{ goal: "< 1 s", met: Math.max(...samples) < 1_000 },
    });
    rows.push(ready("empty state folder", first), ready("the same folder again", again));
    if (rss !== undefined) {
      rows.push({
        what: `resident memory when idle, \`${driver}\` driver`,
        ours: MB(rss),
        ...{ goal: "< 120 MB", met: rss < 120e6 },
      });
    }
  }
  return {
    title: "Control plane: cold start and idle memory",
    intro:
      `From the spawn of \`machines-local start --json\` to its ready line, ${String(rounds)} starts each; the goal is held ` +
      `against the slowest. "auto" is the sandbox where it works. Idle memory is read ${String(idleMs / 1000)} s after ready.`,
    rows,
  };
});
