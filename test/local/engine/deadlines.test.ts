/** When a machine ends by itself: the pure rules. */
import fc from "fast-check";
import { type Deadline, nextDeadline } from "../../../local/src/engine/deadlines";
import { leaseFrom, leaseIn, lend, maxLimitMs } from "../../../local/src/engine/lease";
import { type Lease, type MachineRecord, noLease } from "../../../local/src/engine/record";
import { machine } from "./machine-record";

const at = (ms: number) => new Date(Date.parse("2026-01-01T00:00:00Z") + ms).toISOString();
const leased = (lease: Partial<Lease>, over: Partial<MachineRecord> = {}) =>
  machine({ lastActivityAt: at(0), lastTransitionAt: at(0), ...over, lease: { ...noLease, ...lease } });
const due = (deadline: Deadline | undefined) =>
  deadline && `${deadline.reason} +${String(deadline.atMs - Date.parse(at(0)))}: ${deadline.desired}`;

describe("the next deadline", () => {
  test.each<[string, Partial<Lease>, Partial<MachineRecord>, boolean, string | undefined]>([
    ["none without a lease", {}, {}, false, undefined],
    ["the lease's end", { timeoutAt: at(500) }, {}, false, "timeout +500: destroyed"],
    ["the lease's end of a busy machine, too", { timeoutAt: at(500) }, {}, true, "timeout +500: destroyed"],
    [
      "a hibernation, where the lease says so",
      { timeoutAt: at(500), timeoutAction: "hibernate" },
      {},
      false,
      "timeout +500: sleeping",
    ],
    [
      "destruction of an ephemeral machine, whatever the lease says",
      { timeoutAt: at(500), timeoutAction: "hibernate", ephemeral: true },
      {},
      false,
      "timeout +500: destroyed",
    ],
    [
      "inactivity, where that is earlier",
      { timeoutAt: at(500), inactivityTimeoutMs: 300 },
      {},
      false,
      "inactivity_timeout +300: destroyed",
    ],
    [
      "the lease, where that is earlier",
      { timeoutAt: at(500), inactivityTimeoutMs: 600 },
      {},
      false,
      "timeout +500: destroyed",
    ],
    [
      "the lease, where both fall together",
      { timeoutAt: at(500), inactivityTimeoutMs: 500 },
      { autosleepSeconds: 1 },
      false,
      "timeout +500: destroyed",
    ],
    [
      "no inactivity of a busy machine",
      { inactivityTimeoutMs: 300 },
      { autosleepSeconds: 1 },
      true,
      undefined,
    ],
    ["autosleep", {}, { autosleepSeconds: 2 }, false, "autosleep +2000: sleeping"],
    [
      "deletion of one that sleeps",
      { autoDeleteAfterMs: 700, inactivityTimeoutMs: 1 },
      { phase: "sleeping", desiredState: "sleeping" },
      false,
      "auto_delete +700: destroyed",
    ],
    [
      "no deletion of one that is to be woken",
      { autoDeleteAfterMs: 700 },
      { phase: "sleeping", desiredState: "running" },
      false,
      undefined,
    ],
    ["no deletion of one that runs", { autoDeleteAfterMs: 700 }, {}, false, undefined],
    [
      "none of one that failed",
      { autoDeleteAfterMs: 1, inactivityTimeoutMs: 1 },
      { phase: "failed" },
      false,
      undefined,
    ],
    ["none of one that starts", { timeoutAt: at(1) }, { phase: "starting" }, false, undefined],
  ])("is %s", (_, lease, over, busy, expected) => {
    expect(due(nextDeadline(leased(lease, over), busy))).toBe(expected);
  });

  test("is the earliest of all", () => {
    const span = fc.integer({ min: 1, max: 100_000 });
    fc.assert(
      fc.property(span, span, fc.integer({ min: 1, max: 100 }), (timeout, idle, autosleepSeconds) => {
        const found = nextDeadline(
          leased({ timeoutAt: at(timeout), inactivityTimeoutMs: idle }, { autosleepSeconds }),
          false,
        );
        expect((found?.atMs ?? 0) - Date.parse(at(0))).toBe(Math.min(timeout, idle, autosleepSeconds * 1000));
      }),
    );
  });
});

describe("a lease's clock", () => {
  const lease = { ...noLease, timeoutMs: 1000 };
  test("starts when the machine runs, and only then", () => {
    expect(leaseIn(lease, "starting", at(0)).timeoutAt).toBeNull();
    expect(leaseIn(lease, "running", at(0)).timeoutAt).toBe(at(1000));
    expect(leaseIn(noLease, "running", at(0)).timeoutAt).toBeNull();
  });
  test("goes on over processes that are started again, and stops in every other phase", () => {
    const running = leaseIn(lease, "running", at(0));
    expect(leaseIn(leaseIn(running, "starting", at(5)), "running", at(9))).toEqual(running);
    for (const phase of ["stopping", "sleeping", "failed", "destroying", "destroyed"] as const) {
      expect(leaseIn(running, phase, at(5)).timeoutAt).toBeNull();
    }
  });
  test("starts anew when it is set, and is kept for later while the machine sleeps", () => {
    const running = leased({ timeoutMs: 1000, timeoutAt: at(1000) });
    expect(lend(running, { timeoutMs: 2000 }, at(500))).toMatchObject({
      lease: { timeoutMs: 2000, timeoutAt: at(2500), timeoutAction: "destroy" },
      lastActivityAt: at(0),
      revision: running.revision + 1,
    });
    const asleep = leased({ timeoutMs: 1000 }, { phase: "sleeping", desiredState: "sleeping" });
    expect(lend(asleep, { timeoutMs: 9, timeoutAction: "hibernate" }, at(5)).lease).toMatchObject({
      timeoutMs: 9,
      timeoutAt: null,
      timeoutAction: "hibernate",
    });
    expect(lend(asleep, { timeoutMs: 1000 }, at(5))).toBe(asleep);
  });
  test("takes whole milliseconds up to a hundred years, and no contradiction", () => {
    for (const timeoutMs of [0, -1, 1.5, NaN, Infinity, maxLimitMs + 1]) {
      expect(() => lend(leased({}), { timeoutMs }, at(0))).toThrow("takes whole milliseconds");
      expect(() => leaseFrom({ inactivityTimeoutMs: timeoutMs })).toThrow("inactivityTimeoutMs");
    }
    expect(lend(leased({}), { timeoutMs: maxLimitMs }, at(0)).lease.timeoutAt).toMatch(/^21/);
    expect(() => leaseFrom({ ephemeral: true, autoResume: true })).toThrow("choose one");
    expect(leaseFrom({ ephemeral: true, timeoutAction: "hibernate" }).timeoutAction).toBe("destroy");
    const ephemeral = leased({ ephemeral: true });
    expect(() => lend(ephemeral, { timeoutMs: 1, timeoutAction: "hibernate" }, at(0))).toThrow("ephemeral");
    expect(() => lend(leased({}, { phase: "destroyed" }), { timeoutMs: 1 }, at(0))).toThrow("destroyed");
  });
});
