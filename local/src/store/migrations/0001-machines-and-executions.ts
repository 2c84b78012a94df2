import type { Kysely, Migration } from "kysely";
import type { Flavor } from "../flavor";

export const machinesAndExecutions = (flavor: Flavor): Migration => ({
  async up(db: Kysely<unknown>) {
    await db.schema
      .createTable("machines")
      .addColumn("seq", flavor.serial, (c) =>
        flavor.name === "sqlite" ? c.primaryKey().autoIncrement() : c.primaryKey(),
      )
      .addColumn("id", "text", (c) => c.notNull().unique())
      .addColumn("vcpu", "double precision", (c) => c.notNull())
      .addColumn("memory_mib", flavor.big, (c) => c.notNull())
      .addColumn("storage_gib", flavor.big, (c) => c.notNull())
      .addColumn("autosleep_seconds", flavor.big, (c) => c.notNull())
      .addColumn("desired_state", "text", (c) => c.notNull())
      .addColumn("phase", "text", (c) => c.notNull())
      .addColumn("reason", "text", (c) => c.notNull())
      .addColumn("last_error", "text")
      .addColumn("retryable", "integer", (c) => c.notNull())
      .addColumn("revision", "integer", (c) => c.notNull())
      .addColumn("last_transition_at", "text", (c) => c.notNull())
      .addColumn("last_progress_at", "text", (c) => c.notNull())
      .addColumn("created_at", "text", (c) => c.notNull())
      .addColumn("last_activity_at", "text", (c) => c.notNull())
      .addColumn("last_wake_at", "text")
      .execute();
    await db.schema
      .createTable("revisions")
      .addColumn("machine_id", "text", (c) => c.notNull())
      .addColumn("revision", "integer", (c) => c.notNull())
      .addColumn("at", "text", (c) => c.notNull())
      .addColumn("record", "text", (c) => c.notNull())
      .addPrimaryKeyConstraint("revisions_pk", ["machine_id", "revision"])
      .execute();
    await db.schema
      .createTable("idempotency")
      .addColumn("scope", "text", (c) => c.notNull())
      .addColumn("key", "text", (c) => c.notNull())
      .addColumn("request_hash", "text", (c) => c.notNull())
      .addColumn("status", "integer", (c) => c.notNull())
      .addColumn("headers", "text", (c) => c.notNull())
      .addColumn("body", "text", (c) => c.notNull())
      .addColumn("created_at", "text", (c) => c.notNull())
      .addPrimaryKeyConstraint("idempotency_pk", ["scope", "key"])
      .execute();
    await db.schema.createIndex("idempotency_age").on("idempotency").column("created_at").execute();
    await db.schema
      .createTable("executions")
      .addColumn("seq", flavor.serial, (c) =>
        flavor.name === "sqlite" ? c.primaryKey().autoIncrement() : c.primaryKey(),
      )
      .addColumn("id", "text", (c) => c.notNull().unique())
      .addColumn("machine_id", "text", (c) => c.notNull())
      .addColumn("status", "text", (c) => c.notNull())
      .addColumn("command", "text", (c) => c.notNull())
      .addColumn("cwd", "text")
      .addColumn("env_keys", "text", (c) => c.notNull())
      .addColumn("timeout_ms", flavor.big)
      .addColumn("created_at", "text", (c) => c.notNull())
      .addColumn("started_at", "text")
      .addColumn("completed_at", "text")
      .addColumn("expires_at", "text")
      .addColumn("exit_code", "integer")
      .addColumn("signal", "integer")
      .addColumn("error_code", "text")
      .addColumn("error_message", "text")
      .addColumn("stdout_bytes", flavor.big, (c) => c.notNull())
      .addColumn("stderr_bytes", flavor.big, (c) => c.notNull())
      .addColumn("stdout_truncated", "integer", (c) => c.notNull())
      .addColumn("stderr_truncated", "integer", (c) => c.notNull())
      .addColumn("launch", "text")
      .execute();
    await db.schema
      .createIndex("executions_of_machine")
      .on("executions")
      .columns(["machine_id", "seq"])
      .execute();
    await db.schema
      .createTable("execution_events")
      .addColumn("execution_id", "text", (c) => c.notNull())
      .addColumn("sequence", "integer", (c) => c.notNull())
      .addColumn("type", "text", (c) => c.notNull())
      .addColumn("at", "text", (c) => c.notNull())
      .addColumn("from_byte", flavor.big)
      .addColumn("to_byte", flavor.big)
      .addColumn("status", "text")
      .addColumn("exit_code", "integer")
      .addColumn("signal", "integer")
      .addColumn("error_code", "text")
      .addColumn("error_message", "text")
      .addPrimaryKeyConstraint("execution_events_pk", ["execution_id", "sequence"])
      .execute();
  },
});
