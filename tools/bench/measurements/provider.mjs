/** From the control plane's transition to `create()` returning: the provider against a loop that polls each second. */
import { createRequire } from "node:module";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { root } from "../../setup/node-modules.mjs";
import { monotonicMs } from "../support/clock.mjs";
import { startControlPlane } from "../support/control-plane.mjs";
import { measurement } from "../support/measurement.mjs";
import { ms, percentile, times } from "../support/statistics.mjs";

const require = createRequire(import.meta.url);
const size = { vcpu: 0.25, memoryMiB: 256, storageGiB: 1 };
const pollMs = 1_000;

/** Each start stalls for another time, so that a poll loop sees the change at any moment between two polls. */
const stalls = (howMany, [least, most]) => ({
  rules: Array.from({ length: howMany }, () => ({
    on: "start",
    times: 1,
    stallMs: Math.round(least + Math.random() * (most - least)),
  })),
});

/** The time from `running` to each create's return, with `atOnce` creates under way. */
async function delays(plane, howMany, { atOnce, stallMs, create }) {
  await plane.ask("faults", stalls(howMany, stallMs));
  const runningAt = new Map();
  plane.on("running", ({ id, at }) => runningAt.set(id, at));
  const returned = [];
  let started = 0;
  const worker = async () => {
    while (started < howMany) {
      const id = await create(started++);
      returned.push({ id, at: monotonicMs() });
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  // What the other process told is in the pipe before its answer.
  await plane.ask("faults", { rules: [] });
  return returned.map(({ id, at }) => at - runningAt.get(id));
}

/** The dynamic provider as Pulumi's process calls it, with the settings of the environment. */
function openProvider({ dedalus, apiKey, folder }) {
  Object.assign(process.env, {
    ...{ MACHINES_BACKEND: "local", MACHINES_ENDPOINT: dedalus, MACHINES_API_KEY: apiKey },
    XDG_STATE_HOME: join(folder, "user-state"),
  });
  const { machine } = require("pulumi-machines/dynamic");
  machine.configure({ config: { get: () => undefined } });
  return async (number, run) => {
    const name = `${run}-${String(number)}`;
    const { inputs } = await machine.check(
      {},
      {
        ...size,
        __urn: `urn:pulumi:bench::bench::pulumi-nodejs:dynamic/machines:Machine::${name}`,
        __stackIdentity: "bench",
      },
    );
    return (await machine.create(inputs)).id;
  };
}

async function pollUntilRunning(client) {
  const { machineId } = await client.machines.create(size);
  for (;;) {
    await sleep(pollMs);
    if ((await client.machines.get(machineId)).status.phase === "running") return machineId;
  }
}

const spread = (samples) => ({ p50: percentile(samples, 50), p99: percentile(samples, 99) });

await measurement(async ({ quick, folder, say, undo }) => {
  const plane = await startControlPlane({ stateDir: join(folder, "local"), observe: true });
  undo(() => plane.close());
  const { dedalus, apiKey } = plane.started;
  const create = openProvider({ dedalus, apiKey, folder });
  const { DedalusClient } = require("@pulumi-machines/sdk");
  const client = new DedalusClient({ baseUrl: dedalus, apiKey });
  undo(() => client.close());

  const run = (name, howMany, atOnce) =>
    delays(plane, howMany, { atOnce, stallMs: [200, 500], create: (number) => create(number, name) });
  await run("warm-up", 40, 8);
  const samples = quick ? 100 : 400;
  const few = spread(await run("few", samples, 8));
  say(`8 at once: p50 ${ms(few.p50)}, p99 ${ms(few.p99)}`);
  const many = spread(await run("many", samples, 100));
  say(`100 at once: p50 ${ms(many.p50)}, p99 ${ms(many.p99)}`);
  const polled = quick ? 20 : 100;
  const poll = spread(
    await delays(plane, polled, { atOnce: 20, stallMs: [500, 1500], create: () => pollUntilRunning(client) }),
  );
  say(`poll loop: p50 ${ms(poll.p50)}, p99 ${ms(poll.p99)}`);

  const row = (what, which, figures, goalMs) => ({
    what: `${what}, ${which}`,
    ours: ms(figures[which]),
    peer: `1 s poll loop, same client: ${ms(poll[which])}`,
    ratio: `${times(poll[which] / figures[which])} times sooner`,
    ...(goalMs === undefined ? {} : { goal: `< ${String(goalMs)} ms`, met: figures[which] < goalMs }),
  });
  return {
    title: "Provider: from the transition to `create()` returning",
    intro:
      `From the commit of \`running\` in the control plane to the return of the provider's \`create()\`, over real HTTP and ` +
      `SSE, in two processes with one clock. The null driver's start is stalled by the fault script for 200 to 500 ms ` +
      `(500 to 1500 ms for the poll loop). ${String(samples)} creates for each of ours, ${String(polled)} for the poll loop.`,
    rows: [
      row("8 creates at once (Pulumi's default on 2 cores)", "p50", few, 5),
      row("8 creates at once (Pulumi's default on 2 cores)", "p99", few, 25),
      row("100 creates at once", "p50", many),
      row("100 creates at once", "p99", many),
    ],
    notes: [
      "With many creates at once, new requests and commits of other machines compete with the transition for the same cores.",
    ],
  };
});
