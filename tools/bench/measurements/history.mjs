/** Pages of a long lifecycle log, over HTTP, on both stores. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { startPostgres } from "../../../test/support/postgres.ts";
import { monotonicMs } from "../support/clock.mjs";
import { startControlPlane } from "../support/control-plane.mjs";
import { eventTime, fillLog, machineOf } from "../support/log-filler.mjs";
import { measurement } from "../support/measurement.mjs";
import { count, median, ms, percentile } from "../support/statistics.mjs";

const goalMs = 10;

/** Paths of pages as people ask for them, and the hardest that the API allows. */
const questions = (events, machines) => ({
  "the newest 50 events": () => "lifecycle/events?limit=50",
  "50 of one machine": (n) => `machines/mch_${machineOf(n * 7919, machines)}/lifecycle?limit=50`,
  "50 of one operation that failed": () => "lifecycle/events?operation=hibernate&status=failed&limit=50",
  "50 of an hour": (n) => {
    const from = (n * 7919) % (events - 3600);
    return `lifecycle/events?limit=50&from=${eventTime(from, events)}&to=${eventTime(from + 3600, events)}`;
  },
  "50 at an offset of nine tenths": () => `lifecycle/events?limit=50&offset=${String(events * 0.9)}`,
});

async function ask({ nullspace, apiKey }, path) {
  const startedAt = monotonicMs();
  const response = await fetch(`${nullspace}/v1/${path}`, { headers: { authorization: `Bearer ${apiKey}` } });
  const { events } = await response.json();
  const took = monotonicMs() - startedAt;
  if (!response.ok) throw new Error(`${path}: answered ${String(response.status)}`);
  return { took, found: events.length };
}

async function measurePages(options, { events, machines, rounds, undo }) {
  await fillLog(options, { events, machines });
  const plane = await startControlPlane(options);
  undo(() => plane.close());
  const results = {};
  for (const [name, pathOf] of Object.entries(questions(events, machines))) {
    for (let round = 0; round < 20; round++) await ask(plane.started, pathOf(round));
    const answers = [];
    for (let round = 0; round < rounds; round++) answers.push(await ask(plane.started, pathOf(round + 20)));
    if (answers.some(({ found }) => found === 0)) throw new Error(`${name}: a page was empty`);
    results[name] = answers.map(({ took }) => took);
  }
  return results;
}

await measurement(async ({ quick, folder, say, undo }) => {
  const events = quick ? 100_000 : 1_000_000;
  const size = { events, machines: 5_000, rounds: quick ? 100 : 500, undo };
  const postgres = await startPostgres();
  undo(() => postgres.stop());
  const stores = {
    SQLite: { stateDir: join(folder, "sqlite") },
    PostgreSQL: { stateDir: join(folder, "postgres"), databaseUrl: postgres.url },
  };
  const rows = [];
  for (const [store, options] of Object.entries(stores)) {
    mkdirSync(options.stateDir, { recursive: true, mode: 0o700 });
    for (const [what, samples] of Object.entries(await measurePages(options, size))) {
      const p99 = percentile(samples, 99);
      say(`${store}, ${what}: p50 ${ms(median(samples))}, p99 ${ms(p99)}`);
      rows.push({
        what: `${store}: ${what}`,
        ours: `p99 ${ms(p99)} (p50 ${ms(median(samples))})`,
        goal: `p99 < ${String(goalMs)} ms`,
        met: p99 < goalMs,
      });
    }
  }
  return {
    title: `Lifecycle history: pages of ${count(events)} events`,
    intro:
      `A log of ${count(events)} events of ${count(size.machines)} machines, an event a second; each page asked for ` +
      `${count(size.rounds)} times by one client over HTTP, JSON included. No peer: the goal is a time.`,
    rows,
  };
});
