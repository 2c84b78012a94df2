/** The real command on a real PostgreSQL, by DATABASE_URL. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { startPostgres, type TestPostgres } from "../../support/postgres";
import { buildOnce, Cli } from "./cli-process";
import { createMachine, reach, readStatus } from "./dcs";

let postgres: TestPostgres;
let cli: Cli;
beforeAll(async () => {
  buildOnce();
  postgres = await startPostgres();
}, 120_000);
afterAll(() => postgres.stop());
beforeEach(() => {
  cli = new Cli();
});
afterEach(() => cli.cleanUp());

test("machines are kept there over a kill -9, and streams go on from their last event", async () => {
  const env = { DATABASE_URL: postgres.url };
  const first = await cli.start([], env);
  const { machine_id } = await createMachine(first.ready);
  const before = await reach(first.ready, machine_id, "running");
  await first.process.kill("SIGKILL");
  const second = await cli.start([], env);
  const after = await readStatus(second.ready, machine_id, { after: before.at(-1)?.id });
  expect(after.map(({ machine }) => machine.status.phase)).toEqual(["starting", "running"]);
  expect(Number(after[0]?.id)).toBe(Number(before.at(-1)?.id) + 1);
  expect(readFileSync(join(cli.state, "log/control-plane.log"), "utf8")).not.toContain(postgres.url);
});

test("a second control plane on the same database is refused, also with a state folder of its own", async () => {
  const env = { DATABASE_URL: postgres.url };
  const first = await cli.start([], env);
  const args = ["start", "--port", "0", "--driver", "null"];
  const { code, stderr } = await cli.run(args, { env, state: join(cli.home, "other") });
  expect(code).toBe(1);
  expect(stderr).toMatch(/another control plane uses the database of DATABASE_URL/);
  expect((await first.process.kill("SIGTERM")).code).toBe(0);
});
