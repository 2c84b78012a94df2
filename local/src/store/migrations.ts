/** The schema's history. Never edit a migration that was released; add the next one. */
import type { MigrationProvider } from "kysely";
import type { Flavor } from "./flavor";
import { machinesAndExecutions } from "./migrations/0001-machines-and-executions";
import { lifecycle } from "./migrations/0002-lifecycle";

export const migrations = (flavor: Flavor): MigrationProvider => ({
  getMigrations: () =>
    Promise.resolve({
      "0001_machines_and_executions": machinesAndExecutions(flavor),
      "0002_lifecycle": lifecycle(flavor),
    }),
});
