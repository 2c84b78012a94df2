/** Every difference between the two stores, in one place. */
import type { ColumnDataType } from "kysely";

export interface Flavor {
  readonly name: "sqlite" | "postgres";
  /** An increasing number that the store assigns. */
  readonly serial: ColumnDataType;
  /** A whole number up to 2^53. */
  readonly big: ColumnDataType;
}

export const sqlite: Flavor = { name: "sqlite", serial: "integer", big: "integer" };
export const postgres: Flavor = { name: "postgres", serial: "bigserial", big: "bigint" };
