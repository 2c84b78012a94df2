/** A database of the first schema, as that version of the control plane wrote it, goes on under the present one. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { Kysely, Migrator } from "kysely";
import { unlimitedCapacity } from "../../../local/src/engine/capacity";
import { openControlPlane } from "../../../local/src/engine/engine";
import { postgres as postgresFlavor } from "../../../local/src/store/flavor";
import { machinesAndExecutions } from "../../../local/src/store/migrations/0001-machines-and-executions";
import { postgresDialect } from "../../../local/src/store/postgres";
import type { Schema } from "../../../local/src/store/schema";
import { startPostgres, type TestPostgres } from "../../support/postgres";
import { allEvents, bring, never, said } from "../engine/engine-fixture";
import { ScriptedDriver, World } from "../engine/scripted-driver";

/** The machines in the file, by what had become of them. */
const ids = {
  running: "v3h25e6f9qk7bnocd5he",
  sleeping: "5hnfevi3mh46rfg0774p",
  woken: "9sek8lqtg8efb0ak3cvl",
  destroyed: "ldeg02l8br8lo7furq49",
  failed: "mm980bvv93u8h50pqald",
  starting: "nkimp1lapof2t86pgca2",
};
/** A little after the file was written: nothing of it is overdue. */
const now = () => new Date("2026-11-23T02:54:00Z");

const file = gunzipSync(readFileSync(join(__dirname, "schema-0001.db.gz")));

/** The rows of the file in a PostgreSQL of the first schema. */
async function fillPostgres(url: string, path: string): Promise<void> {
  const old = new DatabaseSync(path, { readOnly: true });
  const db = new Kysely<Schema>({ dialect: await postgresDialect(url) });
  const provider = {
    getMigrations: () =>
      Promise.resolve({ "0001_machines_and_executions": machinesAndExecutions(postgresFlavor) }),
  };
  const { error } = await new Migrator({ db, provider }).migrateToLatest();
  expect(error).toBeUndefined();
  for (const table of ["machines", "revisions", "idempotency"] as const) {
    const rows = old.prepare(`select * from ${table}`).all();
    await db.insertInto(table).values(rows).execute();
  }
  await db.destroy();
  old.close();
}

describe.each(["sqlite", "postgres"])("a database of the first schema on %s", (store) => {
  let postgres: TestPostgres | undefined;
  let stateDir: string;

  beforeAll(async () => {
    if (store === "postgres") postgres = await startPostgres();
    stateDir = mkdtempSync(join(tmpdir(), "machines-migration-"));
  }, 60_000);
  afterAll(async () => {
    await postgres?.stop();
    rmSync(stateDir, { recursive: true, force: true });
  });

  test("is taken over with every machine as it was, and goes on from there", async () => {
    const path = join(stateDir, "control-plane.db");
    writeFileSync(path, file);
    if (postgres) await fillPostgres(postgres.url, path);
    const world = new World();
    for (const id of [ids.running, ids.woken]) Object.assign(world.of(id), { running: true, disk: "files" });
    world.of(ids.sleeping).disk = "files";
    const driver = new ScriptedDriver(world);
    const plane = await openControlPlane({
      stateDir,
      ...(postgres ? { databaseUrl: postgres.url } : {}),
      ...{ driver, capacity: unlimitedCapacity, now },
    });
    try {
      await plane.machines.settled(ids.starting, "running", never);
      const machine = (id: string) => plane.machines.get(id);
      const sleeper = await machine(ids.sleeping);
      expect(sleeper).toMatchObject({
        ...{ phase: "sleeping", template: "base", metadata: {}, egress: "allow_all" },
        lease: { timeoutMs: null, timeoutAt: null, autoResume: false },
      });
      expect(await plane.snapshots.get(sleeper.hibernationId ?? "")).toMatchObject({
        ...{ machineId: ids.sleeping, kind: "hibernation", spec: { vcpu: 1, template: "base" } },
      });
      for (const id of [ids.running, ids.sleeping, ids.woken, ids.destroyed]) {
        expect((await machine(id)).firstRunningAt).toMatch(/^2026-11-23T02:52:/);
      }
      expect(await machine(ids.failed)).toMatchObject({ phase: "failed", firstRunningAt: null });
      const revisions: unknown[] = [];
      (await plane.machines.follow(ids.woken, 1, (record) => revisions.push(record)))();
      expect(revisions.length).toBeGreaterThan(5);
      for (const record of revisions) {
        expect(record).toMatchObject({ template: "base", metadata: {}, lease: { autoResume: false } });
      }

      await bring(plane, ids.sleeping, "running");
      await bring(plane, ids.failed, "running");
      await bring(plane, ids.running, "destroyed");
      const story = async (machineId: string) =>
        said((await plane.lifecycle.page({ machineId }, { offset: 0, limit: 9, order: "asc" })).events);
      expect(await story(ids.sleeping)).toEqual([
        "resume_from_snapshot requested",
        "resume_from_snapshot succeeded",
      ]);
      expect(await story(ids.failed)).toEqual(["create requested", "create succeeded"]);
      expect(await allEvents(plane)).toHaveLength(6);
      expect(await plane.snapshots.list({})).toEqual([]);
    } finally {
      await plane.close();
    }
  });
});
