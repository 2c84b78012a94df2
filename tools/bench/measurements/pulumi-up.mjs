/** A whole `pulumi up` of machines whose start takes a second, against the engine's own time for as many no-ops. */
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { startControlPlane } from "../support/control-plane.mjs";
import { measurement } from "../support/measurement.mjs";
import { makeProject } from "../support/pulumi-project.mjs";
import { median, seconds, times } from "../support/statistics.mjs";

const startMs = 1_000;
const highParallel = 128;
const goal = 1.15;

await measurement(async ({ quick, folder, say, undo }) => {
  const plane = await startControlPlane({
    stateDir: join(folder, "local"),
    faults: { rules: [{ on: "start", stallMs: startMs }] },
  });
  undo(() => plane.close());
  const { dedalus, apiKey } = plane.started;
  const { version, up } = makeProject(folder, {
    ...{ MACHINES_BACKEND: "local", MACHINES_ENDPOINT: dedalus, MACHINES_API_KEY: apiKey },
  });
  say(`Pulumi ${version}`);
  await up({ kind: "noop", count: 1 });
  await up({ kind: "machine", count: 1 });

  const rounds = quick ? 1 : 3;
  /** Both by turns; medians, and the ratio of those. */
  const compare = async (count, parallel, times_) => {
    const machines = [];
    const noops = [];
    for (let round = 0; round < times_; round++) {
      noops.push(await up({ kind: "noop", count, parallel }));
      machines.push(await up({ kind: "machine", count, parallel }));
    }
    const own = median(noops) + startMs;
    const taken = median(machines);
    const how = parallel === undefined ? "default parallelism" : `--parallel ${String(parallel)}`;
    say(`${String(count)} machines, ${how}: ${seconds(taken)} against ${seconds(own)}`);
    return {
      what: `${String(count)} machine${count === 1 ? "" : "s"}, ${how}`,
      ours: seconds(taken),
      peer: `${String(count)} no-op${count === 1 ? "" : "s"} (${seconds(own - startMs)}) and one start: ${seconds(own)}`,
      ratio: times(taken / own),
      met: taken / own <= goal,
    };
  };

  const rows = [
    await compare(1, undefined, rounds),
    await compare(10, undefined, rounds),
    await compare(10, highParallel, rounds),
    await compare(100, undefined, 1),
    { ...(await compare(100, highParallel, rounds)), goal: `<= ${String(goal)}` },
  ];
  const atOnce = 4 * availableParallelism();
  return {
    title: "`pulumi up` of machines whose start takes a second",
    intro:
      `The whole command with Pulumi ${version}, file backend, \`--skip-preview\`, a new stack each time; null driver, each ` +
      `start stalled for 1 s by the fault script. The peer is the same program with a dynamic resource whose \`create\` ` +
      `returns at once, loaded in the same way. Medians of ${String(rounds)} (100 at default parallelism: 1).`,
    rows,
    notes: [
      `By default the engine makes four resources a core at once (${String(atOnce)} here), so 100 machines take at least ${seconds(Math.ceil(100 / atOnce) * startMs)} whatever a provider does: give \`--parallel\` for many machines.`,
    ],
  };
});
