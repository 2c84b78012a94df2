/** Pages of the log and of machines against what they stand for: a plain array, filtered. On both stores. */
import fc from "fast-check";
import type { EventFilter, MachineFilter } from "../../../local/src/engine/control-plane";
import { EngineLifecycleLog } from "../../../local/src/engine/lifecycle-log";
import type { EventDraft } from "../../../local/src/engine/lifecycle-events";
import type { LifecycleEventRecord, MachineRecord } from "../../../local/src/engine/record";
import { flavorOf, openStore } from "../../../local/src/store/store";
import { Fixture, make } from "./engine-fixture";

const machines = ["m0", "m1", "m2", "m3"];
const snapshots = ["s0", "s1"];
const operations = ["create", "fork", "destroy"] as const;
const statuses = ["requested", "succeeded", "failed"] as const;
const runs: unknown[] = ["a", 1, null, { x: [1] }];
const start = Date.parse("2026-01-01T00:00:00Z");
const total = 300;

/** The same events at every run. */
const drafts: EventDraft[] = Array.from({ length: total }, (_, n) => {
  const pick = <T>(from: readonly T[], salt: number): T => from[(n * salt + (n >> 3)) % from.length] as T;
  const sometimes = (id: string) => (n % 3 === 0 ? id : null);
  return {
    operation: pick(operations, 7),
    status: pick(statuses, 5),
    actorKind: "user",
    machineId: pick(machines, 3),
    snapshotId: sometimes(pick(snapshots, 1)),
    sourceMachineId: sometimes(pick(machines, 11)),
    targetMachineId: sometimes(pick(machines, 13)),
    ...{ reason: null, errorCode: null, errorMessage: null },
    metadata: { run: pick(runs, 1), n },
  };
});

const sometimes = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined, freq: 2 });
const time = fc.integer({ min: -2, max: total / 2 + 2 }).map((s) => new Date(start + s * 1000).toISOString());
const eventFilter = fc
  .record({
    operation: sometimes(fc.constantFrom(...operations)),
    status: sometimes(fc.constantFrom(...statuses)),
    machineId: sometimes(fc.constantFrom(...machines, "none")),
    primaryMachineId: sometimes(fc.constantFrom(...machines)),
    snapshotId: sometimes(fc.constantFrom(...snapshots, "none")),
    sourceMachineId: sometimes(fc.constantFrom(...machines)),
    targetMachineId: sometimes(fc.constantFrom(...machines)),
    from: sometimes(time),
    to: sometimes(time),
  })
  .map((filter) => Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined)));

/** The rules again, in the plainest words. */
function wanted(event: LifecycleEventRecord, filter: EventFilter): boolean {
  const about = [event.machineId, event.sourceMachineId, event.targetMachineId];
  const same = (name: keyof LifecycleEventRecord, value: unknown) =>
    value === undefined || event[name] === value;
  return (
    same("operation", filter.operation) &&
    same("status", filter.status) &&
    same("machineId", filter.primaryMachineId) &&
    same("snapshotId", filter.snapshotId) &&
    same("sourceMachineId", filter.sourceMachineId) &&
    same("targetMachineId", filter.targetMachineId) &&
    (filter.machineId === undefined || about.includes(filter.machineId)) &&
    (filter.from === undefined || event.occurredAt >= filter.from) &&
    (filter.to === undefined || event.occurredAt < filter.to)
  );
}

describe.each(["sqlite", "postgres"] as const)("history on %s", (store) => {
  const fixture = new Fixture(store);

  async function filledLog() {
    const at = await fixture.place();
    const db = await openStore(at);
    let events = 0;
    const log = new EngineLifecycleLog({
      db,
      flavor: flavorOf(at),
      // Two events share each second.
      now: () => new Date(start + Math.floor(events / 2) * 1000),
      report: () => undefined,
      webhooks: () => ({
        enqueue: () => Promise.resolve(),
        forget: () => Promise.resolve(),
        poke: () => undefined,
      }),
    });
    await log.open();
    for (const draft of drafts) {
      await log.transact(() => Promise.resolve([draft]));
      events++;
    }
    const { events: all } = await log.page({}, { offset: 0, limit: total, order: "asc" });
    expect(all).toHaveLength(total);
    const close = async () => {
      await log.close();
      await db.destroy();
    };
    return { log, all, close };
  }

  test("every page is the slice of what matches, in both orders", async () => {
    const { log, all, close } = await filledLog();
    try {
      await fc.assert(
        fc.asyncProperty(
          eventFilter,
          fc.constantFrom("asc" as const, "desc" as const),
          fc.oneof(fc.integer({ min: 0, max: 20 }), fc.integer({ min: 0, max: total + 20 })),
          fc.integer({ min: 1, max: 60 }),
          async (filter, order, offset, limit) => {
            const matching = all.filter((event) => wanted(event, filter));
            if (order === "desc") matching.reverse();
            expect(await log.page(filter, { offset, limit, order })).toEqual({
              events: matching.slice(offset, offset + limit),
              hasMore: matching.length > offset + limit,
            });
          },
        ),
        { numRuns: 300 },
      );
    } finally {
      await close();
    }
  });

  test("a stream replays the last ones that match, or all after an event, whatever the filter", async () => {
    const { log, all, close } = await filledLog();
    const metadata = sometimes(fc.constantFrom(...runs).map((run) => ({ run })));
    const from = fc.oneof(
      fc.record({ replayLimit: fc.integer({ min: 1, max: total + 5 }) }),
      fc.record({ after: fc.integer({ min: 0, max: total - 1 }) }),
    );
    try {
      await fc.assert(
        fc.asyncProperty(eventFilter, metadata, from, async (filter, pairs, where) => {
          const full: EventFilter = { ...filter, ...(pairs ? { metadata: pairs } : {}) };
          const matching = all.filter(
            (event) =>
              wanted(event, full) &&
              (!pairs || JSON.stringify(event.metadata["run"]) === JSON.stringify(pairs.run)),
          );
          const expected =
            "after" in where
              ? matching.filter((event) => event.sequence > where.after + 1)
              : matching.slice(-where.replayLimit);
          const got: LifecycleEventRecord[] = [];
          const done = Promise.withResolvers<void>();
          const check = () => {
            if (got.length >= expected.length) done.resolve();
          };
          const options = "after" in where ? { after: all[where.after]?.id ?? "" } : where;
          const end = await log.follow({ filter: full, ...options }, (events) => {
            got.push(...events);
            check();
          });
          check();
          await done.promise;
          end();
          expect(got).toEqual(expected);
        }),
        { numRuns: 200 },
      );
    } finally {
      await close();
    }
  });

  test("pages of machines are full, in order and complete, whatever the filter", async () => {
    const plane = await fixture.open();
    const made: MachineRecord[] = [];
    for (let n = 0; n < 40; n++) {
      const metadata = { run: runs[n % 4], even: n % 2 === 0 };
      made.unshift(await make(plane, { traits: { metadata } }));
    }
    const ids = new Map<string, MachineRecord>();
    for (const { id } of made) {
      await plane.machines.settled(id, "running", AbortSignal.timeout(20_000));
      ids.set(id, await plane.machines.get(id));
    }
    for (const [n, { id }] of made.entries()) {
      if (n % 5 !== 0) continue;
      await plane.machines.state(id, n % 2 === 0 ? "sleeping" : "destroyed");
      await plane.machines.settled(id, n % 2 === 0 ? "sleeping" : "destroyed", AbortSignal.timeout(20_000));
    }
    const all = await Promise.all(made.map(({ id }) => plane.machines.get(id)));
    const filters = fc.record(
      {
        phases: fc.subarray(["running", "sleeping", "destroyed"] as const, { minLength: 1 }),
        template: fc.constantFrom("base", "other"),
        metadata: fc.record({ run: fc.constantFrom(...runs), even: fc.boolean() }, { requiredKeys: [] }),
      },
      { requiredKeys: [] },
    );
    await fc.assert(
      fc.asyncProperty(filters, fc.integer({ min: 1, max: 17 }), async (given, limit) => {
        const filter: MachineFilter = given;
        const expected = all.filter(
          (machine) =>
            (given.phases ?? ["running", "sleeping"]).includes(machine.phase as never) &&
            (given.template ?? "base") === machine.template &&
            Object.entries(given.metadata ?? {}).every(
              ([name, value]) => JSON.stringify(machine.metadata[name]) === JSON.stringify(value),
            ),
        );
        const pages: string[][] = [];
        let cursor: string | undefined;
        do {
          const page = await plane.machines.list(
            { limit, ...(cursor === undefined ? {} : { cursor }) },
            filter,
          );
          pages.push(page.items.map((machine) => machine.id));
          cursor = page.nextCursor;
        } while (cursor !== undefined);
        expect(pages.flat()).toEqual(expected.map((machine) => machine.id));
        for (const page of pages.slice(0, -1)) expect(page).toHaveLength(limit);
        if (pages.length > 1) expect(pages.at(-1)).not.toEqual([]);
      }),
      { numRuns: 150 },
    );
  });
});
