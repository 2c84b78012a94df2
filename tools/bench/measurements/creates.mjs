/** Machine creates per second to `running`, against the bare SQLite transactions of the same shape. */
import { createRequire } from "node:module";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { randomUUID } from "node:crypto";
import { monotonicMs } from "../support/clock.mjs";
import { startControlPlane } from "../support/control-plane.mjs";
import { createMachines, size } from "../support/create-machines.mjs";
import { measurement } from "../support/measurement.mjs";
import { count, times } from "../support/statistics.mjs";

const require = createRequire(import.meta.url);
const { DedalusClient } = require("@pulumi-machines/sdk");

async function createAll(plane, client, howMany, atOnce) {
  const startedAt = monotonicMs();
  const ids = await createMachines(client, howMany, atOnce);
  const acceptedAt = monotonicMs();
  const runningAt = await plane.ask("reached", { ids, phase: "running" });
  const perSecond = (endedAt) => (howMany * 1000) / (endedAt - startedAt);
  return { accepted: perSecond(acceptedAt), running: perSecond(runningAt) };
}

/**
 * What a create writes until its machine runs, as bare statements: the machine, its idempotency key and its first
 * revision in one transaction, then three moves of a row and a revision each. Same file system, same durability.
 */
function bareTransactions(file, howMany) {
  const db = new DatabaseSync(file);
  db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;");
  db.exec(`CREATE TABLE machines (seq INTEGER PRIMARY KEY, id TEXT UNIQUE, phase TEXT, revision INTEGER, record TEXT);
    CREATE TABLE revisions (machine_id TEXT, revision INTEGER, at TEXT, record TEXT, PRIMARY KEY (machine_id, revision));
    CREATE TABLE keys (key TEXT PRIMARY KEY, hash TEXT, answer TEXT, at TEXT)`);
  const insert = db.prepare("INSERT INTO machines (id, phase, revision, record) VALUES (?, ?, 1, ?)");
  const update = db.prepare("UPDATE machines SET phase = ?, revision = ?, record = ? WHERE id = ?");
  const revise = db.prepare("INSERT INTO revisions VALUES (?, ?, ?, ?)");
  const remember = db.prepare("INSERT INTO keys VALUES (?, ?, ?, ?)");
  const record = JSON.stringify({ ...size, text: "x".repeat(350) });
  const at = new Date().toISOString();
  const startedAt = monotonicMs();
  for (let number = 0; number < howMany; number++) {
    const id = randomUUID();
    for (const [index, phase] of ["accepted", "placement_pending", "starting", "running"].entries()) {
      db.exec("BEGIN");
      if (index === 0) {
        insert.run(id, phase, record);
        remember.run(randomUUID(), id, record, at);
      } else update.run(phase, index + 1, record, id);
      revise.run(id, index + 1, at, record);
      db.exec("COMMIT");
    }
  }
  const perSecond = (howMany * 1000) / (monotonicMs() - startedAt);
  db.close();
  return perSecond;
}

await measurement(async ({ quick, folder, say, undo }) => {
  const howMany = quick ? 500 : 3_000;
  const atOnce = 64;
  const plane = await startControlPlane({ stateDir: join(folder, "local") });
  undo(() => plane.close());
  const client = new DedalusClient({ baseUrl: plane.started.dedalus, apiKey: plane.started.apiKey });
  undo(() => client.close());

  await createAll(plane, client, 200, atOnce);
  const before = bareTransactions(join(folder, "bare-before.db"), howMany);
  const rate = await createAll(plane, client, howMany, atOnce);
  const after = bareTransactions(join(folder, "bare-after.db"), howMany);
  const bare = (before + after) / 2;
  say(`${count(rate.running)} creates/s to running; bare SQLite ${count(bare)}/s`);

  const peer = `bare SQLite, the same four transactions: ${count(bare)}/s`;
  return {
    title: "Control plane: machine creates",
    intro:
      `${count(howMany)} machines by POST, ${String(atOnce)} at a time, from one client process over HTTP, null driver. The ` +
      `store is SQLite with WAL and \`synchronous=FULL\`: every acknowledged change is on the disk. A create is four ` +
      `transactions until its machine runs.`,
    rows: [
      { what: "creates/s to `running`", ours: count(rate.running), peer, ratio: times(rate.running / bare) },
      { what: "creates/s accepted (202)", ours: count(rate.accepted) },
    ],
    notes: [
      "There is no goal for this one. The bare loop runs in one process without HTTP, JSON, validation, actors or a log.",
    ],
  };
});
