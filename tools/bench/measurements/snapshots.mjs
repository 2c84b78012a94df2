/** Snapshot and fork of a machine with much on its disk, against a plain copy of the same files. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { createRequire } from "node:module";
import { monotonicMs } from "../support/clock.mjs";
import { startControlPlane } from "../support/control-plane.mjs";
import { measurement } from "../support/measurement.mjs";
import { count, median, ms, times } from "../support/statistics.mjs";

const require = createRequire(import.meta.url);
const { NullspaceClient } = require("@pulumi-machines/sdk");

const goalMs = 100;
const files = 5_000;
const mebibytes = 200;

/** As a package manager leaves a disk: many small files in many folders. */
const fillDisk = `mkdir -p /root/data && cd /root/data && i=0
while [ $i -lt 50 ]; do
  mkdir -p d$i && head -c ${String((mebibytes * 1_048_576) / 50)} /dev/urandom |
    split -b ${String(Math.ceil((mebibytes * 1_048_576) / files))} -a 4 - d$i/f
  i=$((i + 1))
done; sync`;

async function timed(work) {
  const startedAt = monotonicMs();
  const result = await work();
  return { took: monotonicMs() - startedAt, result };
}

/** The peer: what somebody would do who has no layers. */
function copy(from, folder) {
  const to = join(folder, "copy");
  mkdirSync(to);
  const startedAt = monotonicMs();
  const { status, stderr } = spawnSync("cp", ["-a", from, to], { encoding: "utf8" });
  const took = monotonicMs() - startedAt;
  rmSync(to, { recursive: true });
  if (status !== 0) throw new Error(`cp -a failed: ${stderr}`);
  return took;
}

await measurement(async ({ quick, folder, say, undo }) => {
  const rounds = quick ? 2 : 5;
  const stateDir = join(folder, "local");
  const plane = await startControlPlane({ stateDir, driver: "sandbox" });
  undo(() => plane.close());
  const { nullspace, apiKey } = plane.started;
  const client = new NullspaceClient({ baseUrl: nullspace, apiKey });
  undo(() => client.close());
  const made = [];
  undo(async () => {
    for (const id of made) await client.machines.delete(id);
  });
  const keep = (machine) => {
    made.push(machine.id);
    return machine;
  };
  const samples = { copy: [], first: [], again: [], paused: [], fork: [], forkOfSnapshot: [] };
  for (let round = 0; round < rounds; round++) {
    const machine = keep(await client.machines.create({ timeoutMs: 3_600_000, memoryMb: 512 }));
    const filled = await client.commands.run(machine.id, fillDisk, { shell: true, timeoutSeconds: 110 });
    if (filled.exitCode !== 0) throw new Error(`could not fill the disk: ${filled.stderr}`);
    const upper = join(stateDir, "machines", machine.id.replace("mch_", ""), "upper");
    if (!existsSync(upper)) throw new Error(`the machine's files are not where they are expected: ${upper}`);
    samples.copy.push(copy(upper, folder));

    const first = await timed(() => client.snapshots.create(machine.id));
    samples.first.push(first.took);
    const again = await timed(() => client.snapshots.create(machine.id));
    samples.again.push(again.took);
    const fork = await timed(() => client.machines.fork(machine.id));
    keep(fork.result);
    samples.fork.push(fork.took);

    const restored = await timed(() => client.machines.create({ snapshotId: first.result.id }));
    keep(restored.result);
    // Its files lie in layers that it shares: a fork of it copies nothing.
    const shared = await timed(() => client.machines.fork(restored.result.id));
    keep(shared.result);
    samples.forkOfSnapshot.push(shared.took);
    await client.machines.hibernate(machine.id);
    const paused = await timed(() => client.snapshots.create(machine.id));
    samples.paused.push(paused.took);
    say(
      `round ${String(round + 1)}: ${Object.entries(samples)
        .map(([name, all]) => `${name} ${ms(all.at(-1))}`)
        .join(", ")}`,
    );
  }
  const copied = median(samples.copy);
  const row = (what, name, goal) => ({
    what,
    ours: ms(median(samples[name])),
    peer: `cp -a of the same files: ${ms(copied)}`,
    ratio: times(median(samples[name]) / copied),
    ...(goal ? { goal: `< ${String(goalMs)} ms`, met: median(samples[name]) < goalMs } : {}),
  });
  return {
    title: `Snapshots and forks of a machine with ${String(mebibytes)} MiB in ${count(files)} files`,
    intro:
      `Over HTTP, sandbox driver, until the answer says that it can be used; a fork is a second machine that runs. Medians of ` +
      `${String(rounds)}. Where the file system cannot share blocks (ext4), the first snapshot of a running machine copies its own files ` +
      `while it runs.`,
    rows: [
      row("first snapshot of a running machine (its files are copied)", "first", false),
      row("second snapshot of it (layers shared)", "again", true),
      row("fork of it, until the copy runs", "fork", true),
      row("fork of a machine made from a snapshot, until it runs (layers shared)", "forkOfSnapshot", true),
      row("snapshot of the paused machine (layers shared)", "paused", true),
    ],
  };
});
