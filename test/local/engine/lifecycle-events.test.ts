/** The events between two records: whatever happens to a machine, its story is well told. */
import fc from "fast-check";
import { can, type DesiredState } from "@pulumi-machines/sdk/dedalus/rules";
import { lend } from "../../../local/src/engine/lease";
import { type EventDraft, lifecycleEvents } from "../../../local/src/engine/lifecycle-events";
import { desire, move, nextStep, restarted } from "../../../local/src/engine/machine";
import { newMachine } from "../../../local/src/engine/new-machine";
import type { MachineRecord } from "../../../local/src/engine/record";
import { machine } from "./machine-record";

const at = "2026-01-02T00:00:00.000Z";
const size = { vcpu: 1, memoryMiB: 512, storageGiB: 10 };

/** What may happen next: a call, the end of the step that is under way, or a crash. */
type Happening = { desire: DesiredState } | "lend" | "step" | "step fails" | "crash" | "crash loop";
const happening: fc.Arbitrary<Happening> = fc.oneof(
  fc.record({ desire: fc.constantFrom<DesiredState>("running", "sleeping", "destroyed") }),
  fc.constantFrom<Happening>("lend", "step", "step", "step", "step fails", "crash", "crash loop"),
);

/** As the engine does it; the same record where it does not apply. */
function next(before: MachineRecord, what: Happening): MachineRecord {
  if (typeof what === "object") {
    const action = { running: "wake", sleeping: "sleep", destroyed: "delete" } as const;
    return can(action[what.desire], before.phase) ? desire(before, what.desire, "requested", at) : before;
  }
  switch (what) {
    case "lend":
      return can("update", before.phase) ? lend(before, { timeoutMs: before.revision + 1 }, at) : before;
    case "crash":
      return before.phase === "running" ? restarted(before, "gone", at) : before;
    case "crash loop":
      return before.phase === "running"
        ? move(before, { phase: "failed", reason: "crash_loop", lastError: "gone" }, at)
        : before;
    case "step":
      return step(before);
    case "step fails":
      return ["place", "start", "stop", "destroy"].includes(nextStep(before)) &&
        !["accepted", "sleeping", "running"].includes(before.phase)
        ? move(before, { phase: "failed", reason: "start_failed", lastError: "no" }, at)
        : before;
    default:
      return what satisfies never;
  }
}

function step(before: MachineRecord): MachineRecord {
  const to = (phase: MachineRecord["phase"], reason: string) => move(before, { phase, reason }, at);
  switch (nextStep(before)) {
    case "place":
      return before.phase === "placement_pending"
        ? to("starting", "placed")
        : to("placement_pending", "waiting for room");
    case "start":
      return to("running", "ready");
    case "stop":
      return before.phase === "stopping" ? to("sleeping", before.reason) : to("stopping", "sleep requested");
    case "destroy":
      return to("destroyed", "deleted");
    case "rest":
      return before;
  }
}

/** Every event of a life, and the operation that is under way at its end. */
function live(happenings: readonly Happening[]): { events: EventDraft[]; last: MachineRecord } {
  let last = newMachine("m1", { size, autosleepSeconds: 0 }, undefined, at);
  const events = lifecycleEvents(undefined, last);
  for (const what of happenings) {
    const after = next(last, what);
    if (after !== last) events.push(...lifecycleEvents(last, after));
    last = after;
  }
  return { events, last };
}

const lives = fc.array(happening, { maxLength: 60 });
const ofOperation = ({ operation }: EventDraft) =>
  operation !== "timeout_updated" && operation !== "timeout_expired";

test("every operation has one request and one end, and only the last may still be under way", () => {
  fc.assert(
    fc.property(lives, (happenings) => {
      const { events, last } = live(happenings);
      let open: string | null = null;
      for (const event of events.filter(ofOperation)) {
        if (event.status === "requested") {
          expect(open).toBeNull();
          open = event.operation;
        } else {
          expect(event.operation).toBe(open);
          open = null;
        }
      }
      expect(open).toBe(last.operation);
    }),
    { numRuns: 2000 },
  );
});

test("a machine at rest has nothing under way; one on its way has", () => {
  fc.assert(
    fc.property(lives, (happenings) => {
      const { last } = live(happenings);
      expect(last.operation !== null).toBe(nextStep(last) !== "rest");
    }),
    { numRuns: 2000 },
  );
});

test("the last end of an operation tells where a machine rests", () => {
  fc.assert(
    fc.property(lives, (happenings) => {
      const { events, last } = live(happenings);
      if (last.operation !== null) return;
      const end = events.filter(ofOperation).at(-1);
      if (last.phase === "failed") expect(end?.status).toBe("failed");
      else {
        const goal =
          end?.operation === "hibernate"
            ? "sleeping"
            : end?.operation === "destroy"
              ? "destroyed"
              : "running";
        expect([end?.status, goal]).toEqual(["succeeded", last.phase]);
      }
    }),
    { numRuns: 2000 },
  );
});

test("a machine sleeps on a snapshot, the one that its hibernation named and its resume names", () => {
  fc.assert(
    fc.property(lives, (happenings) => {
      const { events, last } = live(happenings);
      if (last.phase === "sleeping" && last.desiredState === "sleeping") {
        expect(last.hibernationId).not.toBeNull();
        const slept = events.filter(
          (event) => event.operation === "hibernate" && event.status === "succeeded",
        );
        expect(slept.at(-1)?.snapshotId).toBe(last.hibernationId);
      }
      if (last.phase === "running" || last.phase === "destroyed") expect(last.hibernationId).toBeNull();
      const ids = events.filter((event) => event.status === "succeeded").map((event) => event.snapshotId);
      for (const [place, event] of events.entries()) {
        if (event.operation !== "resume_from_snapshot" || event.status !== "succeeded") continue;
        if (event.snapshotId === null) continue;
        expect(ids.slice(0, place)).toContain(event.snapshotId);
      }
    }),
    { numRuns: 2000 },
  );
});

test("a failure has the machine's reason as its code, and its words", () => {
  const before = machine({ phase: "starting", operation: "create", metadata: { run: "a" } });
  const after = move(before, { phase: "failed", reason: "image_missing", lastError: "no such image" }, at);
  expect(lifecycleEvents(before, after)).toEqual([
    {
      ...{ operation: "create", status: "failed", actorKind: "user", machineId: "a1", snapshotId: null },
      ...{ sourceMachineId: null, targetMachineId: null, reason: null, metadata: { run: "a" } },
      ...{ errorCode: "image_missing", errorMessage: "no such image" },
    },
  ]);
});

test("what is known of the end of an operation is in its metadata, and wins over the machine's own", () => {
  const before = machine({
    ...{ phase: "stopping", desiredState: "sleeping", operation: "hibernate" },
    metadata: { processes_not_kept: "mine", run: "a" },
  });
  const after = move(before, { phase: "sleeping", reason: "requested" }, at);
  const [event] = lifecycleEvents(before, after, { processes_not_kept: [{ pid: 1, command: "make" }] });
  expect(event?.metadata).toEqual({ run: "a", processes_not_kept: [{ pid: 1, command: "make" }] });
});

test("a change of size says nothing", () => {
  const before = machine();
  expect(lifecycleEvents(before, { ...before, vcpu: 2, revision: 8 })).toEqual([]);
});
