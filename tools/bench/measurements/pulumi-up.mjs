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
const words = { noop: "no-ops", shaped: "no-ops with the properties of a machine" };

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
  /** All by turns; medians, and the ratio of those. A row for each kind of no-op. */
  const compare = async ({ count, parallel, kinds = ["noop"], repeat = rounds, ...more }) => {
    const taken = Object.fromEntries(["machine", ...kinds].map((kind) => [kind, []]));
    for (let round = 0; round < repeat; round++) {
      for (const kind of Object.keys(taken)) taken[kind].push(await up({ kind, count, parallel }));
    }
    const how = parallel === undefined ? "default parallelism" : `--parallel ${String(parallel)}`;
    const ours = median(taken.machine);
    return kinds.map((kind) => {
      const own = median(taken[kind]) + startMs;
      const what = `${String(count)} machine${count === 1 ? "" : "s"}, ${how}`;
      const peer = `${String(count)} ${words[kind]} and one start: ${seconds(own)}`;
      say(`${what}: ${seconds(ours)}, against ${peer}`);
      const ratio = ours / own;
      return { what, ours: seconds(ours), peer, ratio: times(ratio), ...more, met: ratio <= goal };
    });
  };

  const rows = [
    ...(await compare({ count: 1 })),
    ...(await compare({ count: 10 })),
    ...(await compare({ count: 10, parallel: highParallel })),
    ...(await compare({ count: 100, repeat: 1 })),
    ...(await compare({
      ...{ count: 100, parallel: highParallel, kinds: ["noop", "shaped"] },
      goal: `<= ${String(goal)}`,
    })),
  ];
  const atOnce = 4 * availableParallelism();
  return {
    title: "`pulumi up` of machines whose start takes a second",
    intro:
      `The whole command with Pulumi ${version}, file backend, \`--skip-preview\`, a new stack each time; null driver, each ` +
      `start stalled for 1 s by the fault script. The peer is the same program with a dynamic resource whose \`create\` ` +
      `returns at once, loaded in the same way; for 100 also one with the inputs and outputs of a machine, which the ` +
      `engine carries and records whoever provides them. Medians of ${String(rounds)} (100 at default parallelism: 1).`,
    rows,
    notes: [
      `By default the engine makes four resources a core at once (${String(atOnce)} here), so 100 machines take at least ${seconds(Math.ceil(100 / atOnce) * startMs)} whatever a provider does: give \`--parallel\` for many machines.`,
    ],
  };
});
