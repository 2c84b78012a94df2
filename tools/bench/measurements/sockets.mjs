/** Ten thousand lifecycle sockets: what each costs, how soon all are told; and how fast one reads a long log. */
import { createRequire } from "node:module";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { WebSocket } from "ws";
import { monotonicMs } from "../support/clock.mjs";
import { startControlPlane } from "../support/control-plane.mjs";
import { startHelper } from "../support/helper.mjs";
import { fillLog } from "../support/log-filler.mjs";
import { measurement } from "../support/measurement.mjs";
import { count, median, ms, times } from "../support/statistics.mjs";

const require = createRequire(import.meta.url);
const { NullspaceClient } = require("@pulumi-machines/sdk");

/** Files a process has open besides its sockets. */
const otherFiles = 100;
const goals = { kB: 15, toldMs: 1_000, heldMs: 50 };
const kB = (bytes) => `${(bytes / 1000).toFixed(1)} kB`;

async function memoryPerSocket(plane, readers, howMany) {
  const { nullspace, apiKey } = plane.started;
  const first = Math.round(howMany / 10);
  const empty = await plane.ask("memory");
  await readers.ask("open", { nullspace, apiKey, howMany: first });
  const before = await plane.ask("memory");
  const open = await readers.ask("open", { nullspace, apiKey, howMany: howMany - first });
  if (open !== howMany) throw new Error(`only ${String(open)} of ${String(howMany)} sockets are open`);
  const after = await plane.ask("memory");
  return { each: (after - empty) / howMany, later: (after - before) / (howMany - first), after };
}

/** One event with all the sockets on it; times in milliseconds from its commit. */
async function fanOut(plane, readers, client, machineId) {
  await readers.ask("expect");
  const logged = new Promise((resolve) => plane.on("logged", resolve));
  await plane.ask("watchDelay");
  await client.machines.setTimeout(machineId, { timeoutMs: 3_600_000 });
  const { at } = await logged;
  const told = (await readers.ask("told")).map((time) => time - at);
  return { last: Math.max(...told), half: median(told), held: await plane.ask("longestDelay") };
}

/** Events a second of a replay, by the SDK and by a program that only parses frames. */
async function replay(client, { nullspace, apiKey }, events) {
  const [first] = (await client.lifecycle.list({ order: "asc", limit: 1 }).page()).events;
  const wanted = events - 1;
  let startedAt = monotonicMs();
  let seen = 0;
  const stop = new AbortController();
  for await (const _ of client.lifecycle.stream({ afterEventId: first.id, signal: stop.signal })) {
    if (++seen === wanted) break;
  }
  const sdk = (wanted * 1000) / (monotonicMs() - startedAt);
  startedAt = monotonicMs();
  await new Promise((resolve, reject) => {
    const socket = new WebSocket(`${nullspace.replace("http", "ws")}/v1/lifecycle/ws`, {
      perMessageDeflate: false,
      headers: { authorization: `Bearer ${apiKey}` },
    });
    let got = 0;
    socket.on("open", () => socket.send(JSON.stringify({ type: "subscribe", after_event_id: first.id })));
    socket.on("message", (text) => {
      if (JSON.parse(text.toString()).type === "event" && ++got === wanted) {
        socket.close();
        resolve();
      }
    });
    socket.on("error", reject);
  });
  return { sdk, raw: (wanted * 1000) / (monotonicMs() - startedAt) };
}

await measurement(async ({ quick, folder, say, undo }) => {
  const aim = quick ? 2_000 : 10_000;
  const rounds = quick ? 3 : 7;
  const plane = await startControlPlane({ stateDir: join(folder, "local") });
  undo(() => plane.close());
  const readers = await startHelper("socket-client-child.mjs");
  undo(() => readers.close());
  const { nullspace, apiKey } = plane.started;
  const client = new NullspaceClient({ baseUrl: nullspace, apiKey });
  undo(() => client.close());
  const machine = await client.machines.create({ timeoutMs: 3_600_000 });
  const howMany = Math.min(aim, plane.started.files - otherFiles, readers.started.files - otherFiles);
  await plane.ask("watchLog");
  const memory = await memoryPerSocket(plane, readers, howMany);
  say(`${kB(memory.each)} a socket`);
  const changes = [];
  for (let round = 0; round < rounds; round++) {
    changes.push(await fanOut(plane, readers, client, machine.id));
    say(`event ${String(round + 1)}: last one told after ${ms(changes.at(-1).last)}`);
  }
  const bare = await startHelper("bare-sockets-child.mjs");
  undo(() => bare.close());
  const bareReaders = await startHelper("socket-client-child.mjs");
  undo(() => bareReaders.close());
  const alone = await memoryPerSocket(bare, bareReaders, howMany);

  const events = quick ? 20_000 : 100_000;
  const stateDir = join(folder, "log");
  mkdirSync(stateDir, { mode: 0o700 });
  await fillLog({ stateDir }, { events, machines: 100 });
  const long = await startControlPlane({ stateDir });
  undo(() => long.close());
  const reader = new NullspaceClient({ baseUrl: long.started.nullspace, apiKey: long.started.apiKey });
  undo(() => reader.close());
  const rates = [];
  for (let round = 0; round < 3; round++) rates.push(await replay(reader, long.started, events));
  const sdk = median(rates.map((rate) => rate.sdk));
  const raw = median(rates.map((rate) => rate.raw));

  const last = Math.max(...changes.map((each) => each.last));
  const held = Math.max(...changes.map((each) => each.held));
  return {
    title: `Control plane: ${count(howMany)} open lifecycle sockets`,
    intro:
      `Sockets from another process on this host, null driver. Memory is what the sockets added to resident memory, after a collection. ` +
      `Fan-out is one event, from its commit to the reader's receipt; ${String(rounds)} events. The replay is a log of ` +
      `${count(events)} events, read from its begin.`,
    rows: [
      {
        what: "memory a socket",
        ours: `${kB(memory.each)} (${kB(memory.later)} without what comes with the first tenth)`,
        peer: `\`ws\` alone: ${kB(alone.each)} (${kB(alone.later)})`,
        ratio: times(memory.each / alone.each),
        ...(howMany < 10_000 ? {} : { goal: `< ${String(goals.kB)} kB`, met: memory.each < goals.kB * 1000 }),
      },
      {
        what: "an event to all sockets, last one told, worst event",
        ours: ms(last),
        ...{ goal: "< 1 s", met: last < goals.toldMs },
      },
      {
        what: "event loop held during an event, longest",
        ours: ms(held),
        ...{ goal: `< ${String(goals.heldMs)} ms`, met: held < goals.heldMs },
      },
      {
        what: "replay of a long log, read by the SDK",
        ours: `${count(sdk)} events/s`,
        peer: `\`ws\` and JSON.parse, same control plane: ${count(raw)} events/s`,
        ratio: times(sdk / raw),
      },
    ],
    notes: ["The reader shares the cores with the control plane: what it takes to read is in the time."],
  };
});
