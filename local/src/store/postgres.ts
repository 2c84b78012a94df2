/** PostgreSQL by DATABASE_URL: a small pool, and a lock that keeps a second control plane off the same database. */
import { type Dialect, PostgresDialect } from "kysely";
import pg from "pg";

const int8 = 20;
/** Any fixed number will do: it names our lock among a database's advisory locks. */
const lockKey = 7_368_211;

export class StoreBusyError extends Error {
  override readonly name = "StoreBusyError";
}

/** @throws StoreBusyError when another control plane holds the database. */
export async function postgresDialect(url: string): Promise<Dialect> {
  const types = {
    getTypeParser: (oid: number, format?: "text" | "binary") =>
      oid === int8 ? Number : (pg.types.getTypeParser(oid, format) as (value: string) => unknown),
  };
  const holder = new pg.Client({ connectionString: url });
  await holder.connect();
  // A lost holder connection frees the lock; the pool then fails too, and the control plane says so.
  holder.on("error", () => undefined);
  const { rows } = await holder.query<{ held: boolean }>("select pg_try_advisory_lock($1) as held", [
    lockKey,
  ]);
  if (rows[0]?.held !== true) {
    await holder.end();
    throw new StoreBusyError(
      "another control plane uses the database of DATABASE_URL; stop it, or use another database",
    );
  }
  const pool = new pg.Pool({ connectionString: url, max: 8, types: types });
  // An idle connection that breaks is replaced by the pool.
  pool.on("error", () => undefined);
  return new PostgresDialect({
    pool: {
      connect: () => pool.connect(),
      end: async () => {
        await pool.end();
        await holder.end();
      },
    },
  });
}
