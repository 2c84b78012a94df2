/** The lifecycle log, written by machines that live, read as history and followed, on both stores. */
import { randomUUID } from "node:crypto";
import { setImmediate as turn } from "node:timers/promises";
import type { ControlPlane, FollowEvents } from "../../../local/src/engine/control-plane";
import { DriverError } from "../../../local/src/engine/driver";
import type { LifecycleEventRecord } from "../../../local/src/engine/record";
import { allEvents, bring, Fixture, make, makeRunning, reaches, said } from "./engine-fixture";
import { ScriptedDriver } from "./scripted-driver";

/** Follows the log and waits for the nth event. */
async function follow(plane: ControlPlane, options: FollowEvents) {
  const got: LifecycleEventRecord[] = [];
  const waiting: { count: number; resolve: () => void }[] = [];
  const end = await plane.lifecycle.follow(options, (events) => {
    got.push(...events);
    for (const wait of waiting) if (got.length >= wait.count) wait.resolve();
  });
  const count = (count: number) =>
    new Promise<LifecycleEventRecord[]>((resolve) => {
      const done = () => {
        resolve(got);
      };
      if (got.length >= count) done();
      else waiting.push({ count, resolve: done });
    });
  return { got, end, count };
}

describe.each(["sqlite", "postgres"] as const)("the lifecycle log on %s", (store) => {
  const fixture = new Fixture(store);

  test("says what was asked for and how it ended, in the order of the commits", async () => {
    const plane = await fixture.open();
    const id = await makeRunning(plane, { traits: { metadata: { run: "a" } } });
    await bring(plane, id, "sleeping");
    await bring(plane, id, "running");
    await bring(plane, id, "destroyed");
    const events = await allEvents(plane);
    expect(said(events)).toEqual([
      "create requested",
      "create succeeded",
      "hibernate requested",
      "hibernate succeeded",
      "resume_from_snapshot requested",
      "resume_from_snapshot succeeded",
      "destroy requested",
      "destroy succeeded",
    ]);
    expect(events.map((event) => event.sequence)).toEqual(events.map((_, at) => at + 1));
    for (const event of events) {
      expect(event).toMatchObject({ machineId: id, actorKind: "user", metadata: { run: "a" } });
    }
    const slept = events[3]?.snapshotId;
    expect(slept).not.toBeNull();
    expect(events.map((event) => event.snapshotId)).toEqual([
      null,
      null,
      null,
      slept,
      slept,
      slept,
      null,
      null,
    ]);
  });

  test("a failed operation carries the machine's reason and its words", async () => {
    const driver = new ScriptedDriver();
    driver.before = (operation) => {
      if (operation === "start") throw new DriverError("image_missing", "no such image", true);
    };
    const plane = await fixture.open({ driver });
    const { id } = await make(plane);
    await reaches(plane, id, (machine) => machine.phase === "failed");
    driver.before = () => undefined;
    await bring(plane, id, "running");
    const events = await allEvents(plane);
    expect(said(events)).toEqual([
      "create requested",
      "create failed",
      "create requested",
      "create succeeded",
    ]);
    expect(events[1]).toMatchObject({ errorCode: "image_missing", errorMessage: "no such image" });
  });

  test("an operation that another one overtakes ends as superseded", async () => {
    const driver = new ScriptedDriver();
    driver.before = (operation, _id, signal) =>
      operation === "start"
        ? new Promise((_, reject) => {
            signal?.addEventListener("abort", () => {
              reject(new Error("aborted"));
            });
          })
        : undefined;
    const plane = await fixture.open({ driver });
    const { id } = await make(plane);
    await reaches(plane, id, (machine) => machine.phase === "starting");
    await bring(plane, id, "destroyed");
    const events = await allEvents(plane);
    expect(said(events)).toEqual([
      "create requested",
      "create failed",
      "destroy requested",
      "destroy succeeded",
    ]);
    expect(events[1]).toMatchObject({ errorCode: "superseded", errorMessage: "overtaken by: destroy" });
  });

  test("a machine whose processes ended is reconciled, by nobody's call", async () => {
    const driver = new ScriptedDriver();
    const plane = await fixture.open({ driver });
    const id = await makeRunning(plane);
    while (!driver.isWatched(id)) await turn();
    driver.crash(id, "exit 9");
    const { revision } = await plane.machines.get(id);
    await reaches(plane, id, (machine) => machine.phase === "running" && machine.revision > revision);
    const events = (await allEvents(plane)).slice(2);
    expect(said(events)).toEqual(["reconcile requested", "reconcile succeeded"]);
    expect(events[0]).toMatchObject({ actorKind: "reconcile", reason: "exit 9" });
  });

  test("pages by filter, in both orders, from and to a time", async () => {
    let nowMs = Date.parse("2026-01-01T00:00:00Z");
    const plane = await fixture.open({ now: () => new Date((nowMs += 1000)) });
    const first = await makeRunning(plane);
    const second = await makeRunning(plane);
    await bring(plane, first, "destroyed");
    const page = (filter: Parameters<ControlPlane["lifecycle"]["page"]>[0], offset = 0, limit = 50) =>
      plane.lifecycle.page(filter, { offset, limit, order: "desc" });
    const all = (await page({})).events;
    expect(all.map((event) => event.sequence)).toEqual([6, 5, 4, 3, 2, 1]);
    expect(await page({}, 2, 3)).toEqual({ events: all.slice(2, 5), hasMore: true });
    expect(await page({}, 3, 3)).toEqual({ events: all.slice(3), hasMore: false });
    expect(await page({}, 99, 3)).toEqual({ events: [], hasMore: false });
    expect(said((await page({ machineId: second })).events)).toEqual([
      "create succeeded",
      "create requested",
    ]);
    expect((await page({ operation: "destroy", status: "succeeded" })).events).toEqual(all.slice(0, 1));
    const [from, to] = [all[3]?.occurredAt ?? "", all[1]?.occurredAt ?? ""];
    expect((await page({ from, to })).events).toEqual(all.slice(2, 4));
    expect((await page({ from: to, to: from })).events).toEqual([]);
    await expect(page({ from: "yesterday" })).rejects.toMatchObject({ code: "invalid_argument" });
    expect(await plane.lifecycle.get(all[0]?.id ?? "")).toEqual(all[0]);
    await expect(plane.lifecycle.get(randomUUID())).rejects.toMatchObject({ code: "event_not_found" });
  });

  test("pages up to a time stay as they are while events are written", async () => {
    const plane = await fixture.open();
    for (let n = 0; n < 3; n++) await makeRunning(plane);
    const newest = (await plane.lifecycle.page({}, { offset: 0, limit: 1, order: "desc" })).events[0];
    const to = new Date(Date.parse(newest?.occurredAt ?? "") + 1).toISOString();
    while (Date.now() < Date.parse(to)) await turn();
    const read = async (offset: number) =>
      (await plane.lifecycle.page({ to }, { offset, limit: 2, order: "desc" })).events;
    const before = await allEvents(plane);
    const pages: LifecycleEventRecord[] = [];
    for (let offset = 0; offset < before.length; offset += 2) {
      pages.push(...(await read(offset)));
      await makeRunning(plane);
    }
    expect(pages).toEqual(before.toReversed());
  });

  test("replays what is asked for and goes on live, each event once, at whatever moment a reader joins", async () => {
    const plane = await fixture.open();
    const joining: ReturnType<typeof follow>[] = [];
    plane.machines.followAll(() => joining.push(follow(plane, { filter: {}, replayLimit: 1000 })));
    await Promise.all(Array.from({ length: 20 }, () => makeRunning(plane)));
    const readers = await Promise.all(joining);
    const all = await allEvents(plane);
    expect(all).toHaveLength(40);
    for (const reader of readers) expect(await reader.count(40)).toEqual(all);
    expect(readers).toHaveLength(80);
    for (const reader of readers) reader.end();
    await makeRunning(plane);
    for (const reader of readers) expect(reader.got).toHaveLength(40);
  });

  test("goes on after any event that a reader has seen, without a gap or a repeat", async () => {
    const plane = await fixture.open();
    for (let n = 0; n < 3; n++) await bring(plane, await makeRunning(plane), "destroyed");
    const all = await allEvents(plane);
    for (const [at, event] of all.entries()) {
      const reader = await follow(plane, { filter: {}, after: event.id });
      expect(await reader.count(all.length - at - 1)).toEqual(all.slice(at + 1));
      reader.end();
    }
    await expect(follow(plane, { filter: {}, after: randomUUID() })).rejects.toMatchObject({
      code: "event_not_found",
    });
  });

  test("replays the last ones that match, or nothing, and only what matches comes live", async () => {
    const plane = await fixture.open();
    const mine = await makeRunning(plane, { traits: { metadata: { run: "mine", n: { a: [1] } } } });
    const other = await makeRunning(plane, { traits: { metadata: { run: "other" } } });
    const live = await follow(plane, { filter: { machineId: mine }, liveOnly: true });
    const last = await follow(plane, { filter: { operation: "create" }, replayLimit: 3 });
    const byMetadata = await follow(plane, { filter: { metadata: { n: { a: [1] } } }, replayLimit: 1 });
    expect(said(await last.count(3))).toEqual(["create succeeded", "create requested", "create succeeded"]);
    expect(said(await byMetadata.count(1))).toEqual(["create succeeded"]);
    await bring(plane, other, "destroyed");
    await bring(plane, mine, "destroyed");
    expect(said(await live.count(2))).toEqual(["destroy requested", "destroy succeeded"]);
    expect(said(await byMetadata.count(3))).toEqual([
      "create succeeded",
      "destroy requested",
      "destroy succeeded",
    ]);
    expect(last.got).toHaveLength(3);
    expect(live.got.every((event) => event.machineId === mine)).toBe(true);
  });

  test("a reader that asks for time gets everything, in order, when it takes it", async () => {
    const plane = await fixture.open();
    const got: LifecycleEventRecord[] = [];
    const begun = Promise.withResolvers<void>();
    const gate = Promise.withResolvers<void>();
    const done = Promise.withResolvers<void>();
    await plane.lifecycle.follow({ filter: {}, liveOnly: true }, async (events) => {
      got.push(...events);
      begun.resolve();
      await gate.promise;
      if (got.length === 20) done.resolve();
    });
    await makeRunning(plane);
    await begun.promise;
    for (let n = 0; n < 9; n++) await makeRunning(plane);
    expect(got.length).toBeLessThan(3);
    gate.resolve();
    await done.promise;
    expect(got).toEqual(await allEvents(plane));
  });

  test("a reader that fails is ended and told of; the others go on", async () => {
    const reports: string[] = [];
    const plane = await fixture.open({ report: (message) => reports.push(message) });
    let calls = 0;
    await plane.lifecycle.follow({ filter: {}, liveOnly: true }, () => {
      calls++;
      throw new Error("broken pipe");
    });
    const good = await follow(plane, { filter: {}, liveOnly: true });
    await makeRunning(plane);
    await good.count(2);
    expect(calls).toBe(1);
    expect(reports).toContain("lifecycle log: a stream failed and is ended");
  });

  test("forgets what is older than it keeps, never its newest event, and goes on counting", async () => {
    const at = await fixture.place();
    let nowMs = Date.parse("2026-01-01T00:00:00Z");
    const options = { at, now: () => new Date(nowMs), eventRetentionMs: 1000 };
    const driver = new ScriptedDriver();
    const plane = await fixture.open({ ...options, driver });
    const id = await makeRunning(plane);
    const old = await allEvents(plane);
    await plane.close();
    nowMs += 5000;
    const next = await fixture.open({ ...options, driver: new ScriptedDriver(driver.world) });
    expect(await allEvents(next)).toEqual(old.slice(-1));
    await bring(next, id, "destroyed");
    expect((await allEvents(next)).map((event) => event.sequence)).toEqual([2, 3, 4]);
    const reader = await follow(next, { filter: { machineId: id }, replayLimit: 1000 });
    expect(await reader.count(3)).toEqual(await allEvents(next));
    await expect(follow(next, { filter: {}, after: old[0]?.id ?? "" })).rejects.toMatchObject({
      code: "event_not_found",
    });
  });

  test("times never go back, also when the clock does", async () => {
    let nowMs = Date.parse("2026-01-01T00:00:00Z");
    const plane = await fixture.open({ now: () => new Date((nowMs -= 1000)) });
    await makeRunning(plane);
    await makeRunning(plane);
    const times = (await allEvents(plane)).map((event) => event.occurredAt);
    expect(times).toEqual(times.toSorted());
  });

  test("many machines at once: numbers without a gap, told in the order of the commits", async () => {
    const plane = await fixture.open();
    const reader = await follow(plane, { filter: {}, liveOnly: true });
    await Promise.all(
      Array.from({ length: 30 }, async () => bring(plane, await makeRunning(plane), "destroyed")),
    );
    const got = await reader.count(120);
    expect(got.map((event) => event.sequence)).toEqual(got.map((_, at) => at + 1));
    expect(got.map((event) => event.occurredAt)).toEqual(got.map((event) => event.occurredAt).toSorted());
  });
});
