/** Opens the store, brings its schema up to date, and turns rows into records. */
import { join } from "node:path";
import { type Dialect, Kysely, Migrator, type Selectable, type Transaction } from "kysely";
import { type ExecutionRecord, type MachineOperation, type MachineRecord, noLease } from "../engine/record";
import { type Flavor, postgres, sqlite } from "./flavor";
import { migrations } from "./migrations";
import { postgresDialect } from "./postgres";
import type { ExecutionsTable, MachinesTable, Schema } from "./schema";
import { sqliteDialect } from "./sqlite";

export type Database = Kysely<Schema>;
export type Tx = Transaction<Schema>;

export interface StoreOptions {
  stateDir: string;
  /** A PostgreSQL URL; without it the database is `control-plane.db` in the state folder. */
  databaseUrl?: string;
}

/** Which of the two stores these options name. */
export const flavorOf = (options: StoreOptions): Flavor => (options.databaseUrl ? postgres : sqlite);

/** @throws when the database cannot be opened or brought up to date. */
export async function openStore(options: StoreOptions): Promise<Database> {
  const flavor = flavorOf(options);
  const dialect: Dialect = options.databaseUrl
    ? await postgresDialect(options.databaseUrl)
    : sqliteDialect(join(options.stateDir, "control-plane.db"));
  const db = new Kysely<Schema>({ dialect });
  const { error } = await new Migrator({ db, provider: migrations(flavor) }).migrateToLatest();
  if (error !== undefined) {
    await db.destroy();
    throw error instanceof Error ? error : new Error("the database's schema could not be brought up to date");
  }
  return db;
}

export const machineFromRow = (row: Selectable<MachinesTable>): MachineRecord => ({
  id: row.id,
  vcpu: row.vcpu,
  memoryMiB: row.memory_mib,
  storageGiB: row.storage_gib,
  autosleepSeconds: row.autosleep_seconds,
  desiredState: row.desired_state,
  phase: row.phase,
  reason: row.reason,
  lastError: row.last_error,
  retryable: row.retryable === 1,
  revision: row.revision,
  lastTransitionAt: row.last_transition_at,
  lastProgressAt: row.last_progress_at,
  createdAt: row.created_at,
  lastActivityAt: row.last_activity_at,
  lastWakeAt: row.last_wake_at,
  template: row.template,
  metadata: JSON.parse(row.metadata) as Record<string, unknown>,
  cwd: row.cwd,
  egress: row.egress,
  lease: {
    timeoutMs: row.timeout_ms,
    timeoutAt: row.timeout_at,
    timeoutAction: row.timeout_action,
    inactivityTimeoutMs: row.inactivity_timeout_ms,
    autoDeleteAfterMs: row.auto_delete_after_ms,
    ephemeral: row.ephemeral === 1,
    autoResume: row.auto_resume === 1,
  },
  fromSnapshotId: row.from_snapshot_id,
  forkedFromId: row.forked_from_id,
  firstRunningAt: row.first_running_at,
  hibernationId: row.hibernation_id,
  operation: row.operation as MachineOperation | null,
  operationActor: row.operation_actor,
});

/** What a record that was written by an earlier version lacks. */
const addedLater = {
  ...{ template: "base", metadata: {}, cwd: null, egress: "allow_all", lease: noLease },
  ...{ fromSnapshotId: null, forkedFromId: null, firstRunningAt: null, hibernationId: null },
  ...{ operation: null, operationActor: "user" },
} as const satisfies Partial<MachineRecord>;

/** A stored revision. */
export const machineFromJson = (text: string): MachineRecord => ({
  ...addedLater,
  ...(JSON.parse(text) as Omit<MachineRecord, keyof typeof addedLater>),
});

const machineColumns = (record: MachineRecord) => ({
  id: record.id,
  vcpu: record.vcpu,
  memory_mib: record.memoryMiB,
  storage_gib: record.storageGiB,
  autosleep_seconds: record.autosleepSeconds,
  desired_state: record.desiredState,
  phase: record.phase,
  reason: record.reason,
  last_error: record.lastError,
  retryable: record.retryable ? 1 : 0,
  revision: record.revision,
  last_transition_at: record.lastTransitionAt,
  last_progress_at: record.lastProgressAt,
  created_at: record.createdAt,
  last_activity_at: record.lastActivityAt,
  last_wake_at: record.lastWakeAt,
  template: record.template,
  metadata: JSON.stringify(record.metadata),
  cwd: record.cwd,
  egress: record.egress,
  timeout_ms: record.lease.timeoutMs,
  timeout_at: record.lease.timeoutAt,
  timeout_action: record.lease.timeoutAction,
  inactivity_timeout_ms: record.lease.inactivityTimeoutMs,
  auto_delete_after_ms: record.lease.autoDeleteAfterMs,
  ephemeral: record.lease.ephemeral ? 1 : 0,
  auto_resume: record.lease.autoResume ? 1 : 0,
  from_snapshot_id: record.fromSnapshotId,
  forked_from_id: record.forkedFromId,
  first_running_at: record.firstRunningAt,
  hibernation_id: record.hibernationId,
  operation: record.operation,
  operation_actor: record.operationActor,
});

/** Writes a machine's new state and the event that reports it, in the caller's transaction. */
export async function saveRevision(tx: Tx, record: MachineRecord): Promise<void> {
  const columns = machineColumns(record);
  if (record.revision === 1) await tx.insertInto("machines").values(columns).execute();
  else await tx.updateTable("machines").set(columns).where("id", "=", record.id).execute();
  await tx
    .insertInto("revisions")
    .values({
      machine_id: record.id,
      revision: record.revision,
      at: record.lastProgressAt,
      record: JSON.stringify(record),
    })
    .execute();
}

/** Variables of a machine's commands. Kept out of every record: their values may be secrets. */
export async function setMachineEnv(tx: Tx, id: string, env: Record<string, string>): Promise<void> {
  if (Object.keys(env).length === 0) return;
  await tx
    .updateTable("machines")
    .set({ env: JSON.stringify(env) })
    .where("id", "=", id)
    .execute();
}

export const executionFromRow = (row: Selectable<ExecutionsTable>): ExecutionRecord => ({
  id: row.id,
  machineId: row.machine_id,
  status: row.status,
  command: JSON.parse(row.command) as string[],
  cwd: row.cwd,
  envKeys: JSON.parse(row.env_keys) as string[],
  timeoutMs: row.timeout_ms,
  createdAt: row.created_at,
  startedAt: row.started_at,
  completedAt: row.completed_at,
  expiresAt: row.expires_at,
  exitCode: row.exit_code,
  signal: row.signal,
  errorCode: row.error_code,
  errorMessage: row.error_message,
  stdoutBytes: row.stdout_bytes,
  stderrBytes: row.stderr_bytes,
  stdoutTruncated: row.stdout_truncated === 1,
  stderrTruncated: row.stderr_truncated === 1,
});
