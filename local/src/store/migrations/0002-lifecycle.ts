import { type CreateTableBuilder, type Kysely, type Migration, sql } from "kysely";
import type { Flavor } from "../flavor";

/** Snapshots, leases, the lifecycle log and its webhooks; terminals and open stdin of executions. */
export const lifecycle = (flavor: Flavor): Migration => ({
  async up(db: Kysely<unknown>) {
    const withSeq = <T extends string>(table: CreateTableBuilder<T>) =>
      table.addColumn("seq", flavor.serial, (c) =>
        flavor.name === "sqlite" ? c.primaryKey().autoIncrement() : c.primaryKey(),
      );
    const index = (table: string, columns: string[]) =>
      db.schema
        .createIndex(`${table}_by_${columns.join("_")}`)
        .on(table)
        .columns(columns)
        .execute();

    const machines = db.schema.alterTable("machines");
    // One column a statement: SQLite knows no other way.
    for (const [name, initial] of Object.entries({
      template: "base",
      metadata: "{}",
      egress: "allow_all",
      env: "{}",
      timeout_action: "destroy",
      operation_actor: "user",
    })) {
      await machines.addColumn(name, "text", (c) => c.notNull().defaultTo(initial)).execute();
    }
    for (const name of ["timeout_ms", "inactivity_timeout_ms", "auto_delete_after_ms"]) {
      await machines.addColumn(name, flavor.big).execute();
    }
    for (const name of ["ephemeral", "auto_resume"]) {
      await machines.addColumn(name, "integer", (c) => c.notNull().defaultTo(0)).execute();
    }
    for (const name of [
      "cwd",
      "timeout_at",
      "from_snapshot_id",
      "forked_from_id",
      "first_running_at",
      "hibernation_id",
      "operation",
    ]) {
      await machines.addColumn(name, "text").execute();
    }

    const executions = db.schema.alterTable("executions");
    await executions.addColumn("terminal", "text").execute();
    await executions.addColumn("open_stdin", "integer", (c) => c.notNull().defaultTo(0)).execute();
    await executions.addColumn("display", "text").execute();

    await withSeq(db.schema.createTable("snapshots"))
      .addColumn("id", "text", (c) => c.notNull().unique())
      .addColumn("machine_id", "text", (c) => c.notNull())
      .addColumn("kind", "text", (c) => c.notNull())
      .addColumn("size_bytes", flavor.big, (c) => c.notNull())
      .addColumn("created_at", "text", (c) => c.notNull())
      .addColumn("metadata", "text", (c) => c.notNull())
      .addColumn("spec", "text", (c) => c.notNull())
      .addColumn("env", "text", (c) => c.notNull())
      .addColumn("ready", "integer", (c) => c.notNull())
      .execute();
    await index("snapshots", ["machine_id"]);
    await rememberThePast(db);

    await db.schema
      .createTable("lifecycle_events")
      // Given by the log itself, without a gap: see lifecycle-log.ts.
      .addColumn("seq", flavor.big, (c) => c.primaryKey())
      .addColumn("id", "text", (c) => c.notNull().unique())
      .addColumn("occurred_at", "text", (c) => c.notNull())
      .addColumn("operation", "text", (c) => c.notNull())
      .addColumn("status", "text", (c) => c.notNull())
      .addColumn("actor_kind", "text", (c) => c.notNull())
      .addColumn("machine_id", "text")
      .addColumn("snapshot_id", "text")
      .addColumn("source_machine_id", "text")
      .addColumn("target_machine_id", "text")
      .addColumn("reason", "text")
      .addColumn("error_code", "text")
      .addColumn("error_message", "text")
      .addColumn("metadata", "text", (c) => c.notNull())
      .execute();
    for (const columns of [
      ["occurred_at"],
      ["operation"],
      ["status"],
      ["operation", "status"],
      ["snapshot_id"],
    ]) {
      await index("lifecycle_events", [...columns, "seq"]);
    }
    await db.schema
      .createTable("lifecycle_machines")
      .addColumn("machine_id", "text", (c) => c.notNull())
      .addColumn("seq", flavor.big, (c) => c.notNull())
      .addPrimaryKeyConstraint("lifecycle_machines_pk", ["machine_id", "seq"])
      .execute();

    await withSeq(db.schema.createTable("webhooks"))
      .addColumn("id", "text", (c) => c.notNull().unique())
      .addColumn("url", "text", (c) => c.notNull())
      .addColumn("operations", "text", (c) => c.notNull())
      .addColumn("signing_secret", "text", (c) => c.notNull())
      .addColumn("enabled", "integer", (c) => c.notNull())
      .addColumn("created_at", "text", (c) => c.notNull())
      .addColumn("updated_at", "text", (c) => c.notNull())
      .addColumn("last_delivery_at", "text")
      .addColumn("last_delivery_status", "text")
      .addColumn("last_error", "text")
      .execute();
    await withSeq(db.schema.createTable("deliveries"))
      .addColumn("id", "text", (c) => c.notNull().unique())
      .addColumn("webhook_id", "text", (c) => c.notNull())
      .addColumn("event_id", "text", (c) => c.notNull())
      .addColumn("event_seq", flavor.big, (c) => c.notNull())
      .addColumn("machine_id", "text")
      .addColumn("operation", "text", (c) => c.notNull())
      .addColumn("status", "text", (c) => c.notNull())
      .addColumn("delivery_status", "text", (c) => c.notNull())
      .addColumn("attempt_count", "integer", (c) => c.notNull())
      .addColumn("created_at", "text", (c) => c.notNull())
      .addColumn("next_attempt_at", "text")
      .addColumn("last_attempt_at", "text")
      .addColumn("last_response_status", "integer")
      .addColumn("last_error", "text")
      .execute();
    await index("deliveries", ["webhook_id", "seq"]);
    await index("deliveries", ["delivery_status", "next_attempt_at"]);
    await index("deliveries", ["event_seq"]);
    await db.schema
      .createTable("delivery_attempts")
      .addColumn("id", "text", (c) => c.notNull().unique())
      .addColumn("delivery_id", "text", (c) => c.notNull())
      .addColumn("attempt_number", "integer", (c) => c.notNull())
      .addColumn("attempted_at", "text", (c) => c.notNull())
      .addColumn("duration_ms", "integer", (c) => c.notNull())
      .addColumn("response_status", "integer")
      .addColumn("error_code", "text")
      .addColumn("error_message", "text")
      .addPrimaryKeyConstraint("delivery_attempts_pk", ["delivery_id", "attempt_number"])
      .execute();
  },
});

/** What the new columns say of machines that were made before: when they first ran, and what they sleep on. */
async function rememberThePast(db: Kysely<unknown>): Promise<void> {
  await sql`update machines set first_running_at = (
    select min(at) from revisions
    where revisions.machine_id = machines.id and record like '%"phase":"running"%')`.execute(db);
  const { rows } = await sql<Sleeper>`
    select id, revision, vcpu, memory_mib, storage_gib, last_transition_at from machines
    where phase = 'sleeping' and desired_state = 'sleeping'`.execute(db);
  for (const row of rows) {
    const hibernation = `${row.id}h${String(row.revision)}`;
    const spec = JSON.stringify({
      ...{ vcpu: row.vcpu, memoryMiB: row.memory_mib, storageGiB: row.storage_gib },
      ...{ template: "base", metadata: {}, cwd: null, egress: "allow_all" },
    });
    await sql`insert into snapshots (id, machine_id, kind, size_bytes, created_at, metadata, spec, env, ready)
      values (${hibernation}, ${row.id}, 'hibernation', 0, ${row.last_transition_at}, '{}', ${spec}, '{}', 1)`.execute(
      db,
    );
    await sql`update machines set hibernation_id = ${hibernation} where id = ${row.id}`.execute(db);
  }
}

interface Sleeper {
  id: string;
  revision: number;
  vcpu: number;
  memory_mib: number;
  storage_gib: number;
  last_transition_at: string;
}
