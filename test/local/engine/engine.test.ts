/** The engine over both stores: the same suite, a real SQLite file and a real PostgreSQL. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { type CapacityLimits, unlimitedCapacity } from "../../../local/src/engine/capacity";
import { type ControlPlane, Refusal, type StoredAnswer } from "../../../local/src/engine/control-plane";
import { DriverError } from "../../../local/src/engine/driver";
import { openControlPlane } from "../../../local/src/engine/engine";
import { isLegalMove } from "../../../local/src/engine/moves";
import type { MachineRecord } from "../../../local/src/engine/record";
import { Faults, faultScript } from "../../../local/src/faults";
import { startPostgres, type TestPostgres } from "../../support/postgres";
import { ScriptedDriver, World } from "./scripted-driver";

const size = { vcpu: 1, memoryMiB: 512, storageGiB: 10, autosleepSeconds: 0 };
const asked = ({ autosleepSeconds, ...sizes }: typeof size) => ({ size: sizes, autosleepSeconds });
const render = (machine: { id: string }, pending: boolean): StoredAnswer => ({
  status: pending ? 202 : 200,
  headers: { "x-test": "1" },
  body: JSON.stringify(machine),
});
let keys = 0;
const request = (key = `key-${String(++keys)}`, requestHash = "h") => ({ scope: "test", key, requestHash });

/** Every revision from the present one, or after a given one, until the machine is in `phase`. */
async function until(
  plane: ControlPlane,
  id: string,
  phase: string,
  after?: number,
): Promise<MachineRecord[]> {
  const seen: MachineRecord[] = [];
  let end: () => void = () => undefined;
  await new Promise<void>((resolve, reject) => {
    plane.machines
      .follow(id, after, (record) => {
        seen.push(record);
        if (record.phase === phase) resolve();
      })
      .then((stop) => (end = stop), reject);
  });
  end();
  return seen;
}

interface Fixture {
  stateDir: string;
  databaseUrl?: string;
}

describe.each(["sqlite", "postgres"])("the engine on %s", (store) => {
  let postgres: TestPostgres | undefined;
  let databases = 0;
  const dirs: string[] = [];
  const planes: ControlPlane[] = [];

  beforeAll(async () => {
    if (store === "postgres") postgres = await startPostgres();
  }, 60_000);

  afterEach(async () => {
    await Promise.all(planes.splice(0).map((plane) => plane.close()));
    for (const dir of dirs.splice(0)) rmSync(dir, { recursive: true, force: true });
  });

  afterAll(() => postgres?.stop());

  async function fixture(): Promise<Fixture> {
    const stateDir = mkdtempSync(join(tmpdir(), "machines-engine-"));
    dirs.push(stateDir);
    if (!postgres) return { stateDir };
    const name = `t${String(++databases)}`;
    const client = new pg.Client({ connectionString: postgres.url });
    await client.connect();
    await client.query(`create database ${name}`);
    await client.end();
    return { stateDir, databaseUrl: postgres.url.replace(/postgres$/, name) };
  }

  async function open(
    at: Fixture,
    driver: ScriptedDriver,
    more: { capacity?: CapacityLimits; faults?: Faults; sleepHoldWindowMs?: number; now?: () => Date } = {},
  ): Promise<ControlPlane> {
    const plane = await openControlPlane({ ...at, driver, capacity: unlimitedCapacity, ...more });
    planes.push(plane);
    return plane;
  }

  async function create(plane: ControlPlane, over: Partial<typeof size> = {}): Promise<string> {
    const answer = await plane.machines.create(asked({ ...size, ...over }), request(), render);
    return (JSON.parse(answer.body) as MachineRecord).id;
  }

  const desire = (plane: ControlPlane, id: string, to: "running" | "sleeping" | "destroyed") =>
    plane.machines.desire(id, to, request(), undefined, render);

  test("drives a machine to running, to sleep, awake and away, by legal moves only", async () => {
    const driver = new ScriptedDriver();
    const plane = await open(await fixture(), driver);
    const id = await create(plane);
    await until(plane, id, "running");
    expect((await desire(plane, id, "sleeping")).status).toBe(202);
    await until(plane, id, "sleeping");
    await desire(plane, id, "running");
    await until(plane, id, "running");
    await desire(plane, id, "destroyed");
    await until(plane, id, "destroyed");
    const all: MachineRecord[] = [];
    (await plane.machines.follow(id, 1, (record) => all.push(record)))();
    expect(all.map((record) => record.revision)).toEqual(all.map((_, at) => at + 2));
    expect(all.map((record) => record.phase)).toEqual([
      "placement_pending",
      "starting",
      "running",
      "stopping",
      "sleeping",
      "placement_pending",
      "starting",
      "running",
      "destroying",
      "destroyed",
    ]);
    expect(driver.world.machines.size).toBe(0);
    expect((await plane.machines.list({ limit: 10 })).items).toEqual([]);
    expect((await plane.machines.get(id)).phase).toBe("destroyed");
  });

  test("answers a repeated key the same and makes one machine, also after a restart", async () => {
    const at = await fixture();
    const driver = new ScriptedDriver();
    const plane = await open(at, driver);
    const once = request();
    const first = await plane.machines.create(asked(size), once, render);
    expect(await plane.machines.create(asked(size), once, render)).toEqual(first);
    await plane.close();
    const again = await open(at, new ScriptedDriver(driver.world));
    expect(await again.machines.create(asked(size), once, render)).toEqual(first);
    expect((await again.machines.list({ limit: 10 })).items).toHaveLength(1);
  });

  test("refuses a key that was used for another request, and one that is under way", async () => {
    const plane = await open(await fixture(), new ScriptedDriver());
    const once = request();
    const both = await Promise.allSettled([
      plane.machines.create(asked(size), once, render),
      plane.machines.create(asked(size), once, render),
    ]);
    expect(both.map((result) => result.status)).toEqual(["fulfilled", "rejected"]);
    expect(both[1]).toMatchObject({
      reason: { code: "idempotency_in_flight", options: { retryAfterMs: 250 } },
    });
    await expect(
      plane.machines.create(asked(size), { ...once, requestHash: "other" }, render),
    ).rejects.toMatchObject({
      code: "idempotency_key_reused",
      options: { details: { expected_request_hash: "h", provided_request_hash: "other" } },
    });
    expect((await plane.machines.list({ limit: 10 })).items).toHaveLength(1);
  });

  test("a refused mutation leaves its key free", async () => {
    const plane = await open(await fixture(), new ScriptedDriver());
    const id = await create(plane);
    await until(plane, id, "running");
    const once = request();
    await expect(plane.machines.desire(id, "sleeping", once, "99", render)).rejects.toMatchObject({
      code: "revision_mismatch",
      options: { details: { provided_revision: "99" } },
    });
    const { revision } = await plane.machines.get(id);
    expect((await plane.machines.desire(id, "sleeping", once, String(revision), render)).status).toBe(202);
  });

  test("a failed start says why, and stating the desire again repairs it", async () => {
    const driver = new ScriptedDriver();
    driver.before = (operation) => {
      if (operation === "start") throw new DriverError("image_missing", "no such image: base", true);
    };
    const plane = await open(await fixture(), driver);
    const id = await create(plane);
    const failed = (await until(plane, id, "failed")).at(-1);
    expect(failed).toMatchObject({
      reason: "image_missing",
      lastError: "no such image: base",
      retryable: true,
    });
    expect(driver.calls.at(-1)).toBe(`stop ${id}`);
    driver.before = () => undefined;
    await desire(plane, id, "running");
    expect((await until(plane, id, "running")).at(-1)).toMatchObject({ lastError: null, retryable: false });
  });

  test("the fault script fails a transition so many times, with the reason it gives", async () => {
    const script = faultScript.parse({
      rules: [
        { on: "start", times: 1, fail: { reason: "scripted", lastError: "as asked", retryable: false } },
      ],
    });
    const plane = await open(await fixture(), new ScriptedDriver(), { faults: new Faults(script) });
    const id = await create(plane);
    expect((await until(plane, id, "failed")).at(-1)).toMatchObject({ reason: "scripted", retryable: false });
    await desire(plane, id, "running");
    await until(plane, id, "running");
  });

  test("more than the host has is placement_pending and then failed, retryable", async () => {
    const capacity = { machineVcpu: 2, vcpu: 2, memoryMiB: 1000, placementTimeoutMs: 0 };
    const plane = await open(await fixture(), new ScriptedDriver(), { capacity });
    const id = await create(plane, { vcpu: 64 });
    const seen = await until(plane, id, "failed", 1);
    expect(seen.map((record) => record.phase)).toEqual(["placement_pending", "failed"]);
    expect(seen.at(-1)).toMatchObject({
      reason: "insufficient_capacity",
      retryable: true,
      lastError: "asked for 64 vCPU, the host has 2",
    });
  });

  test("a machine that waits for room starts when another one sleeps", async () => {
    const capacity = { machineVcpu: 1, vcpu: 1, memoryMiB: 1000, placementTimeoutMs: 60_000 };
    const plane = await open(await fixture(), new ScriptedDriver(), { capacity });
    const first = await create(plane);
    await until(plane, first, "running");
    const second = await create(plane);
    await until(plane, second, "placement_pending");
    await desire(plane, first, "sleeping");
    await until(plane, second, "running");
  });

  test("deleting interrupts a start that hangs", async () => {
    const driver = new ScriptedDriver();
    driver.before = (operation, _id, signal) =>
      operation === "start"
        ? new Promise((_, reject) => {
            signal?.addEventListener("abort", () => {
              reject(new Error("aborted"));
            });
          })
        : undefined;
    const plane = await open(await fixture(), driver);
    const id = await create(plane);
    await until(plane, id, "starting");
    await desire(plane, id, "destroyed");
    await until(plane, id, "destroyed");
    expect(driver.world.machines.size).toBe(0);
  });

  test("resizes a running machine before it answers, and leaves it alone when that fails", async () => {
    const driver = new ScriptedDriver();
    const plane = await open(await fixture(), driver);
    const id = await create(plane);
    await until(plane, id, "running");
    const answer = await plane.machines.update(id, { vcpu: 2 }, request(), undefined, render);
    expect(answer.status).toBe(200);
    expect(driver.world.of(id).spec?.vcpu).toBe(2);
    driver.before = (_operation, _id) => {
      throw new DriverError("cgroup", "write failed", false);
    };
    await expect(plane.machines.update(id, { vcpu: 4 }, request(), undefined, render)).rejects.toMatchObject({
      code: "resize_failed",
      options: { retryable: false },
    });
    expect((await plane.machines.get(id)).vcpu).toBe(2);
  });

  test("a change of size during the start holds when the machine runs", async () => {
    const driver = new ScriptedDriver();
    const go = Promise.withResolvers<void>();
    const reached = Promise.withResolvers<void>();
    driver.before = (operation) => {
      if (operation !== "start") return undefined;
      reached.resolve();
      return go.promise;
    };
    const plane = await open(await fixture(), driver);
    const id = await create(plane);
    await reached.promise;
    expect((await plane.machines.update(id, { memoryMiB: 1024 }, request(), undefined, render)).status).toBe(
      202,
    );
    go.resolve();
    await until(plane, id, "running");
    expect(driver.world.of(id).spec?.memoryMiB).toBe(1024);
  });

  test("starts a machine again whose processes ended, and gives up when they end again and again", async () => {
    const driver = new ScriptedDriver();
    const plane = await open(await fixture(), driver);
    const id = await create(plane);
    for (let time = 1; time <= 3; time++) {
      await until(plane, id, "running");
      driver.crash(id, `exit ${String(time)}`);
      await until(plane, id, "starting");
    }
    await until(plane, id, "running");
    driver.crash(id, "exit 4");
    expect((await until(plane, id, "failed")).at(-1)).toMatchObject({
      reason: "crash_loop",
      retryable: true,
    });
  });

  test("an idle machine goes to sleep by itself", async () => {
    let nowMs = Date.parse("2026-01-01T00:00:00Z");
    const plane = await open(await fixture(), new ScriptedDriver(), { now: () => new Date((nowMs += 700)) });
    const id = await create(plane, { autosleepSeconds: 1 });
    expect((await until(plane, id, "sleeping")).at(-1)).toMatchObject({
      reason: "autosleep",
      desiredState: "sleeping",
    });
  });

  test("refuses to sleep within the hold window of a wake", async () => {
    const plane = await open(await fixture(), new ScriptedDriver(), { sleepHoldWindowMs: 60_000 });
    const id = await create(plane);
    await until(plane, id, "running");
    await desire(plane, id, "sleeping");
    await until(plane, id, "sleeping");
    await desire(plane, id, "running");
    await until(plane, id, "running");
    await expect(desire(plane, id, "sleeping")).rejects.toMatchObject({
      code: "sleep_hold_window",
      options: { retryable: true, details: { hold_window_ms: "60000" } },
    });
  });

  test("pages stay stable while machines are made", async () => {
    const plane = await open(await fixture(), new ScriptedDriver());
    const made: string[] = [];
    for (let n = 0; n < 5; n++) made.unshift(await create(plane));
    const first = await plane.machines.list({ limit: 2 });
    await create(plane);
    const second = await plane.machines.list({ limit: 2, cursor: first.nextCursor ?? "" });
    const third = await plane.machines.list({ limit: 2, cursor: second.nextCursor ?? "" });
    expect([...first.items, ...second.items, ...third.items].map((item) => item.id)).toEqual(made);
    expect(third.nextCursor).toBeUndefined();
    await expect(plane.machines.list({ limit: 2, cursor: "x" })).rejects.toMatchObject({
      code: "bad_cursor",
    });
  });

  test("what does not exist is refused by name", async () => {
    const plane = await open(await fixture(), new ScriptedDriver());
    await expect(plane.machines.get("none")).rejects.toBeInstanceOf(Refusal);
    await expect(plane.machines.follow("none", undefined, () => undefined)).rejects.toMatchObject({
      code: "machine_not_found",
    });
  });

  test("fails the commands that wait for a machine which cannot start", async () => {
    const driver = new ScriptedDriver();
    const plane = await open(await fixture(), driver);
    const id = await create(plane);
    await until(plane, id, "running");
    await desire(plane, id, "sleeping");
    await until(plane, id, "sleeping");
    driver.before = () => {
      throw new DriverError("start_failed", "no", false);
    };
    const answer = await plane.executions.create(id, { command: ["true"], env: {} }, request(), render);
    const execution = JSON.parse(answer.body) as { id: string; status: string };
    expect(execution.status).toBe("wake_in_progress");
    await until(plane, id, "failed");
    const ended = async () => (await plane.executions.get(id, execution.id)).completedAt !== null;
    while (!(await ended())) await new Promise(setImmediate);
    expect(await plane.executions.get(id, execution.id)).toMatchObject({
      status: "failed",
      errorCode: "MACHINE_UNAVAILABLE",
      errorMessage: "the machine failed (start_failed): no",
    });
  });

  test.each(["start", "stop", "destroy"] as const)(
    "a control plane that dies during %s is followed by one that goes on from there",
    async (operation) => {
      const at = await fixture();
      const world = new World();
      const dying = new ScriptedDriver(world);
      const reached = new Promise<void>((resolve) => {
        dying.before = (now, _id, signal) => {
          if (now !== operation) return undefined;
          resolve();
          return new Promise((_, reject) => {
            signal?.addEventListener("abort", () => {
              reject(new Error("aborted"));
            });
            // The stop and the destroy of a driver know no signal: the life of this one ends here all the same.
            if (!signal)
              lifeEnds.push(() => {
                reject(new Error("dead"));
              });
          });
        };
      });
      const lifeEnds: (() => void)[] = [];
      const plane = await open(at, dying);
      const id = await create(plane);
      if (operation !== "start") {
        await until(plane, id, "running");
        await desire(plane, id, operation === "stop" ? "sleeping" : "destroyed");
      }
      await reached;
      const before = await plane.machines.get(id);
      const closing = plane.close();
      for (const end of lifeEnds) end();
      await closing;
      const next = await open(at, new ScriptedDriver(world));
      const goal = operation === "start" ? "running" : operation === "stop" ? "sleeping" : "destroyed";
      const seen: MachineRecord[] = [];
      await new Promise<void>((resolve) => {
        void next.machines.follow(id, before.revision, (record) => {
          seen.push(record);
          if (record.phase === goal) resolve();
        });
      });
      let from = before;
      for (const record of seen) {
        expect(record.revision).toBe(from.revision + 1);
        expect(isLegalMove(from.phase, record.phase)).toBe(true);
        from = record;
      }
    },
  );

  test("a machine whose processes died with the host is started again from its disk", async () => {
    const at = await fixture();
    const driver = new ScriptedDriver();
    const plane = await open(at, driver);
    const id = await create(plane);
    await until(plane, id, "running");
    await plane.close();
    driver.world.of(id).running = false;
    driver.world.of("stranger").running = true;
    const next = await open(at, new ScriptedDriver(driver.world));
    expect((await until(next, id, "running")).at(-1)).toMatchObject({ phase: "running" });
    expect(driver.world.of(id)).toMatchObject({ running: true, starts: 2 });
    expect(driver.world.machines.has("stranger")).toBe(false);
  });
});

test("a second control plane is kept off the same PostgreSQL database", async () => {
  const postgres = await startPostgres();
  const stateDir = mkdtempSync(join(tmpdir(), "machines-engine-"));
  try {
    const options = { stateDir, databaseUrl: postgres.url };
    const first = await openControlPlane({ ...options, driver: new ScriptedDriver() });
    await expect(openControlPlane({ ...options, driver: new ScriptedDriver() })).rejects.toThrow(
      "another control plane",
    );
    await first.close();
    await (await openControlPlane({ ...options, driver: new ScriptedDriver() })).close();
  } finally {
    await postgres.stop();
    rmSync(stateDir, { recursive: true, force: true });
  }
}, 60_000);
