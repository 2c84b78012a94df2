/** The engine over both stores: the same suite on a real SQLite file and on a real PostgreSQL. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { unlimitedCapacity } from "../../../local/src/engine/capacity";
import type { ControlPlane, NewMachine, StoredAnswer } from "../../../local/src/engine/control-plane";
import { type EngineOptions, openControlPlane } from "../../../local/src/engine/engine";
import type { LifecycleEventRecord, MachineRecord } from "../../../local/src/engine/record";
import { startPostgres, type TestPostgres } from "../../support/postgres";
import { ScriptedDriver } from "./scripted-driver";

export type StoreName = "sqlite" | "postgres";

/** Where a store is; a control plane that is opened there again finds what an earlier one left. */
export interface Place {
  stateDir: string;
  databaseUrl?: string;
}

export const size = { vcpu: 1, memoryMiB: 512, storageGiB: 10 };

export const render = (record: { id: string }, pending: boolean): StoredAnswer => ({
  status: pending ? 202 : 200,
  headers: { "x-test": "1" },
  body: JSON.stringify(record),
});

let keys = 0;
export const request = (key = `key-${String(++keys)}`, requestHash = "h") => ({
  scope: "test",
  key,
  requestHash,
});

export const never = new AbortController().signal;

export class Fixture {
  private postgres: TestPostgres | undefined;
  private databases = 0;
  private readonly dirs: string[] = [];
  private readonly planes: ControlPlane[] = [];

  constructor(store: StoreName) {
    beforeAll(async () => {
      if (store === "postgres") this.postgres = await startPostgres();
    }, 60_000);
    afterEach(async () => {
      await Promise.all(this.planes.splice(0).map((plane) => plane.close()));
      for (const dir of this.dirs.splice(0)) rmSync(dir, { recursive: true, force: true });
    });
    afterAll(() => this.postgres?.stop());
  }

  async place(): Promise<Place> {
    const stateDir = mkdtempSync(join(tmpdir(), "machines-engine-"));
    this.dirs.push(stateDir);
    if (!this.postgres) return { stateDir };
    const name = `t${String(++this.databases)}`;
    const client = new pg.Client({ connectionString: this.postgres.url });
    await client.connect();
    await client.query(`create database ${name}`);
    await client.end();
    return { stateDir, databaseUrl: this.postgres.url.replace(/postgres$/, name) };
  }

  async open(
    more: Partial<EngineOptions> & { at?: Place; driver?: ScriptedDriver } = {},
  ): Promise<ControlPlane> {
    const { at = await this.place(), driver = new ScriptedDriver(), ...options } = more;
    const plane = await openControlPlane({ ...at, driver, capacity: unlimitedCapacity, ...options });
    this.planes.push(plane);
    return plane;
  }
}

/** Makes a machine; resolves when it was accepted. */
export async function make(plane: ControlPlane, over: Partial<NewMachine> = {}): Promise<MachineRecord> {
  const answer = await plane.machines.create({ size, autosleepSeconds: 0, ...over }, request(), render);
  return JSON.parse(answer.body) as MachineRecord;
}

/** Makes a machine and waits until it runs. */
export async function makeRunning(plane: ControlPlane, over: Partial<NewMachine> = {}): Promise<string> {
  const { id } = await make(plane, over);
  await plane.machines.settled(id, "running", never);
  return id;
}

/** States a desired state and waits until it holds. */
export async function bring(
  plane: ControlPlane,
  id: string,
  desired: "running" | "sleeping" | "destroyed",
): Promise<MachineRecord> {
  await plane.machines.state(id, desired);
  return plane.machines.settled(id, desired, never);
}

/** The next revision of a machine, from the present one on, that is as asked. */
export async function reaches(
  plane: ControlPlane,
  id: string,
  is: (machine: MachineRecord) => boolean,
): Promise<MachineRecord> {
  const { promise, resolve } = Promise.withResolvers<MachineRecord>();
  const end = await plane.machines.follow(id, undefined, (machine) => {
    if (is(machine)) resolve(machine);
  });
  try {
    return await promise;
  } finally {
    end();
  }
}

/** The whole log, oldest first. */
export async function allEvents(plane: ControlPlane): Promise<LifecycleEventRecord[]> {
  return (await plane.lifecycle.page({}, { offset: 0, limit: 10_000, order: "asc" })).events;
}

/** Short: "create requested". */
export const said = (events: readonly LifecycleEventRecord[]): string[] =>
  events.map((event) => `${event.operation} ${event.status}`);
