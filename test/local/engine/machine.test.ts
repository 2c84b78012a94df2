import { phases } from "@pulumi-machines/sdk/dedalus/rules";
import { change, desire, IllegalMoveError, move, nextStep } from "../../../local/src/engine/machine";
import { isLegalMove, moves } from "../../../local/src/engine/moves";
import { machine } from "./machine-record";

const at = "2026-01-02T00:00:00.000Z";

describe("the table of moves", () => {
  test("names only phases, each pair once, each with its reason", () => {
    const pairs = moves.map((m) => `${m.from}>${m.to}`);
    expect(new Set(pairs).size).toBe(pairs.length);
    for (const m of moves) {
      expect(phases).toContain(m.from);
      expect(phases).toContain(m.to);
      expect(m.why).not.toBe("");
    }
  });

  test("lets every living phase be deleted, and nothing leave destroyed", () => {
    for (const phase of phases) {
      expect(isLegalMove(phase, "destroying")).toBe(phase !== "destroying" && phase !== "destroyed");
      expect(isLegalMove("destroyed", phase)).toBe(false);
    }
  });

  test("refuses an illegal move", () => {
    expect(() => move(machine({ phase: "sleeping" }), { phase: "running", reason: "" }, at)).toThrow(
      IllegalMoveError,
    );
  });
});

describe("desire", () => {
  test.each([
    ["running", "running", "sleeping", "stopping"],
    ["sleeping", "sleeping", "running", "placement_pending"],
    ["failed", "running", "running", "placement_pending"],
    ["failed", "running", "sleeping", "stopping"],
    ["stopping", "sleeping", "running", "stopping"],
    ["starting", "running", "destroyed", "destroying"],
    ["failed", "destroyed", "destroyed", "destroying"],
  ] as const)("takes a %s machine (desired %s) that is desired %s to %s", (phase, was, wanted, to) => {
    const next = desire(machine({ phase, desiredState: was }), wanted, "requested", at);
    expect(next).toMatchObject({ phase: to, desiredState: wanted, revision: 8, lastProgressAt: at });
  });

  test.each([
    ["running", "running"],
    ["sleeping", "sleeping"],
    ["stopping", "sleeping"],
    ["destroyed", "destroyed"],
    ["destroying", "destroyed"],
  ] as const)("changes nothing on a %s machine whose desired state is %s already", (phase, desired) => {
    const before = machine({ phase, desiredState: desired });
    expect(desire(before, desired, "requested", at)).toBe(before);
  });

  test.each([
    ["starting", "sleeping"],
    ["accepted", "sleeping"],
    ["destroying", "running"],
    ["destroyed", "sleeping"],
  ] as const)("refuses, on a %s machine, the desired state %s", (phase, desired) => {
    expect(() => desire(machine({ phase }), desired, "requested", at)).toThrow(
      expect.objectContaining({ code: "invalid_state" }) as Error,
    );
  });
});

describe("change", () => {
  test("keeps the phase, raises the revision, and leaves the time of the last transition alone", () => {
    const before = machine({});
    expect(change(before, { vcpu: 2, autosleepSeconds: 300 }, at)).toEqual({
      ...before,
      vcpu: 2,
      autosleepSeconds: 300,
      revision: 8,
      lastProgressAt: at,
      lastActivityAt: at,
    });
  });

  test("is no change when everything is as asked", () => {
    const before = machine({});
    expect(change(before, { vcpu: 1, memoryMiB: 512 }, at)).toBe(before);
  });

  test("keeps the failure of a failed machine", () => {
    const failed = machine({ phase: "failed", reason: "start_failed", lastError: "no", retryable: true });
    expect(change(failed, { vcpu: 2 }, at)).toMatchObject({
      reason: "start_failed",
      lastError: "no",
      retryable: true,
    });
  });

  test("refuses to shrink storage, and to touch a machine that goes", () => {
    expect(() => change(machine({}), { storageGiB: 9 }, at)).toThrow(
      expect.objectContaining({ code: "storage_shrink" }) as Error,
    );
    expect(() => change(machine({ phase: "destroying" }), { vcpu: 2 }, at)).toThrow(
      expect.objectContaining({ code: "invalid_state" }) as Error,
    );
  });
});

describe("nextStep", () => {
  test.each([
    ["accepted", "running", "place"],
    ["placement_pending", "running", "place"],
    ["starting", "running", "start"],
    ["running", "running", "rest"],
    ["running", "sleeping", "stop"],
    ["stopping", "running", "stop"],
    ["sleeping", "sleeping", "rest"],
    ["sleeping", "running", "place"],
    ["failed", "running", "rest"],
    ["destroying", "destroyed", "destroy"],
    ["destroyed", "destroyed", "rest"],
  ] as const)("of a %s machine that is desired %s is %s", (phase, desiredState, step) => {
    expect(nextStep(machine({ phase, desiredState }))).toBe(step);
  });
});
