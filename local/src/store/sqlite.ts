/** `node:sqlite` in the shape that the query builder's SQLite dialect asks for. */
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { type Dialect, SqliteDialect, type SqliteStatement } from "kysely";

const maxPrepared = 200;

/**
 * Opens the database file: WAL, and `synchronous=FULL`, so that what was acknowledged survives a power cut too.
 * A second process on the same file is kept out by the state folder's lock, not here.
 */
export function sqliteDialect(path: string): Dialect {
  const database = new DatabaseSync(path);
  database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000;");
  type Values = Parameters<StatementSync["all"]>;
  const prepared = new Map<string, SqliteStatement>();
  const prepare = (sql: string): SqliteStatement => {
    const statement = database.prepare(sql);
    return {
      reader: statement.columns().length > 0,
      all: (values) => statement.all(...(values as Values)),
      run: (values) => statement.run(...(values as Values)),
      iterate: (values) => statement.iterate(...(values as Values)),
    };
  };
  return new SqliteDialect({
    database: {
      close: () => {
        prepared.clear();
        database.close();
      },
      prepare: (sql) => {
        let statement = prepared.get(sql);
        if (!statement) {
          if (prepared.size >= maxPrepared) prepared.clear();
          statement = prepare(sql);
          prepared.set(sql, statement);
        }
        return statement;
      },
    },
  });
}
