/** Ten thousand open status streams: what each costs the control plane, and how soon all of them are told. */
import { createRequire } from "node:module";
import { join } from "node:path";
import { startControlPlane } from "../support/control-plane.mjs";
import { createMachines } from "../support/create-machines.mjs";
import { startHelper } from "../support/helper.mjs";
import { measurement } from "../support/measurement.mjs";
import { count, median, ms, percentile, times } from "../support/statistics.mjs";

const require = createRequire(import.meta.url);
const { DedalusClient } = require("@pulumi-machines/sdk");
/** Machines wait for a place all the while, since a stream ends when its machine runs. */
const neverPlaced = { rules: [{ on: "place", stallMs: 3_600_000 }] };
/** Files a process has open besides its streams. */
const otherFiles = 100;

/** A control plane that was started afresh over so many machines: what made them is not in its memory. */
async function openPlane({ folder, name, undo, machines }) {
  const options = { stateDir: join(folder, name), faults: neverPlaced };
  const first = await startControlPlane(options);
  const ids = await fill(first.started, machines).finally(() => first.close());
  const plane = await startControlPlane(options);
  undo(() => plane.close());
  const readers = await startHelper("stream-client-child.mjs");
  undo(() => readers.close());
  const files = Math.min(plane.started.files, readers.started.files) - otherFiles;
  return { plane, readers, ids, files };
}

async function fill({ dedalus, apiKey }, machines) {
  const client = new DedalusClient({ baseUrl: dedalus, apiKey });
  return createMachines(client, machines, 32).finally(() => client.close());
}

/**
 * Opens a stream to each of `ids`; resolves with the bytes that each added to the server: all of them, and the last nine
 * tenths, without what a server loads and compiles once with the first.
 */
async function memoryPerStream({ plane, readers }, ids) {
  const { dedalus, apiKey } = plane.started;
  const first = Math.round(ids.length / 10);
  const empty = await plane.ask("memory");
  await readers.ask("open", { dedalus, apiKey, ids: ids.slice(0, first) });
  const before = await plane.ask("memory");
  const open = await readers.ask("open", { dedalus, apiKey, ids: ids.slice(first) });
  if (open !== ids.length) throw new Error(`only ${String(open)} of ${String(ids.length)} streams are open`);
  const after = await plane.ask("memory");
  return {
    perStream: (after - empty) / ids.length,
    later: (after - before) / (ids.length - first),
    after,
  };
}

/** The same streams from a server that does nothing but hold them. */
async function bareMemory(ids, undo) {
  const plane = await startHelper("bare-streams-child.mjs");
  undo(() => plane.close());
  const readers = await startHelper("stream-client-child.mjs");
  undo(() => readers.close());
  return memoryPerStream({ plane, readers }, ids);
}

/** One change of one machine with all the streams on it; times in milliseconds from its commit. */
async function fanOut({ plane, readers }, id, round) {
  const client = new DedalusClient({ baseUrl: plane.started.dedalus, apiKey: plane.started.apiKey });
  try {
    await readers.ask("expect", (await plane.ask("revision", id)) + 1);
    const changed = new Promise((resolve) => plane.on("changed", resolve));
    await plane.ask("watchDelay");
    await client.machines.update(id, { memoryMiB: 512 + round });
    const { at } = await changed;
    const told = (await readers.ask("told")).map((time) => time - at);
    const held = await plane.ask("longestDelay");
    return { half: percentile(told, 50), last: Math.max(...told), held };
  } finally {
    await client.close();
  }
}

const kB = (bytes) => `${(bytes / 1000).toFixed(1)} kB`;
const MB = (bytes) => `${(bytes / 1e6).toFixed(0)} MB`;

await measurement(async ({ quick, folder, say, undo }) => {
  const aim = quick ? 2_000 : 10_000;
  const rounds = quick ? 3 : 7;

  say(`making ${count(aim)} machines`);
  const many = await openPlane({ folder, name: "many", undo, machines: aim });
  const howMany = Math.min(aim, many.files);
  const notes =
    howMany < aim
      ? [`**Only ${count(howMany)} streams**: a process may have no more files open here (\`ulimit -Hn\`).`]
      : [];
  say(`opening ${count(howMany)} streams, one to each`);
  await many.plane.ask("reached", { ids: many.ids, phase: "placement_pending" });
  const apart = await memoryPerStream(many, many.ids.slice(0, howMany));
  say(`${kB(apart.perStream)} a stream`);

  const one = await openPlane({ folder, name: "one", undo, machines: 1 });
  const [id] = one.ids;
  await one.plane.ask("watchChanges", id);
  say(`opening ${count(howMany)} streams, all to one`);
  const sameId = Array.from({ length: howMany }, () => id);
  const together = await memoryPerStream(one, sameId);
  say(`${kB(together.perStream)} a stream`);
  const changes = [];
  for (let round = 0; round < rounds; round++) {
    changes.push(await fanOut(one, id, round));
    say(`change ${String(round + 1)}: last one told after ${ms(changes.at(-1).last)}`);
  }
  const bare = await bareMemory(sameId, undo);
  say(`node:http alone: ${kB(bare.perStream)} a stream`);
  const last = changes.map((each) => each.last);
  const held = changes.map((each) => each.held);

  const memoryRow = (what, { perStream, later, after }) => ({
    what,
    ours: `${kB(perStream)} (${kB(later)} without what comes with the first tenth; ${MB(after)} in all)`,
    peer: `\`node:http\` alone: ${kB(bare.perStream)} (${kB(bare.later)})`,
    ratio: times(perStream / bare.perStream),
    // Fewer streams cost more each: what comes in blocks is shared by fewer, in a bare server too.
    ...(howMany < 10_000 ? {} : { goal: "< 15 kB", met: perStream < 15_000 }),
  });
  return {
    title: `Control plane: ${count(howMany)} open status streams`,
    intro:
      `Streams from another process on this host, each a connection of its own; null driver, machines held in \`placement_pending\`. ` +
      `Memory is what the streams added to resident memory, after a collection. Fan-out is one change of a ` +
      `machine on which all the streams are, from its commit to the reader's receipt; ${String(rounds)} changes.`,
    rows: [
      memoryRow("memory a stream, each to a machine of its own", apart),
      memoryRow("memory a stream, all to one machine", together),
      {
        what: "a change to all streams, last one told, worst change",
        ours: `${ms(Math.max(...last))} (median ${ms(median(last))})`,
        ...{ goal: "< 1 s", met: Math.max(...last) < 1_000 },
      },
      {
        what: "a change to all streams, half of them told, median",
        ours: ms(median(changes.map((each) => each.half))),
      },
      { what: "event loop held during a change, longest", ours: ms(Math.max(...held)) },
    ],
    notes: [
      ...notes,
      "The reader shares the cores with the control plane: what it takes to read is in the time.",
    ],
  };
});
