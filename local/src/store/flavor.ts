/** Every difference between the two stores, in one place. */
import { type ColumnDataType, sql } from "kysely";
import type { Tx } from "./store";

export interface Flavor {
  readonly name: "sqlite" | "postgres";
  /** An increasing number that the store assigns. */
  readonly serial: ColumnDataType;
  /** A whole number up to 2^53. */
  readonly big: ColumnDataType;
  /**
   * Keeps every other writer of the lifecycle log out until this transaction is over, so that the order of its numbers
   * is the order of the commits. Whatever is read of the log after it is the latest.
   */
  lockLog(tx: Tx): Promise<void>;
}

/** Any fixed number will do: it names the log's lock among a database's advisory locks. */
const logLockKey = 7_368_212;

export const sqlite: Flavor = {
  name: "sqlite",
  serial: "integer",
  big: "integer",
  // There is one connection, and with it one transaction at a time.
  lockLog: () => Promise.resolve(),
};

export const postgres: Flavor = {
  name: "postgres",
  serial: "bigserial",
  big: "bigint",
  // The server lets go of it after the commit can be seen.
  lockLog: async (tx) => {
    await sql`select pg_advisory_xact_lock(${logLockKey})`.execute(tx);
  },
};
