import type { MachineView } from "../../../provider/src/controlplane/port";
import { driftLines } from "../../../provider/src/machine/drift";

const view: MachineView = {
  id: "dm-1",
  phase: "running",
  desiredState: "running",
  reason: "running",
  retryable: false,
  revision: "7",
  vcpu: 2,
  memoryMiB: 4096,
  storageGiB: 20,
};
const before = { vcpu: 1, memoryMiB: 4096, storageGiB: 10, desiredState: "running", autosleep: "15m" };
const same = { ...before };

describe("what a refresh says", () => {
  test("nothing of a machine that is as it was left", () => {
    expect(driftLines("web", view, before, same)).toEqual([]);
  });

  test("a resize by hand, with both sizes", () => {
    expect(driftLines("web", view, before, { ...same, vcpu: 2, storageGiB: 20 })).toEqual([
      'machine "web" (dm-1) was resized outside of Pulumi: it has 2 vCPUs and not 1, 20 GiB of disk and not 10',
    ]);
  });

  test("a machine that was woken, with the event that did it where there is one", () => {
    const event = {
      id: "e",
      occurredAt: "2026-01-02T03:04:05Z",
      operation: "resume_from_snapshot",
      status: "succeeded",
      actorKind: "user",
      reason: "command",
      metadata: {},
    };
    const asleep = { ...before, desiredState: "sleeping" };
    expect(driftLines("web", view, asleep, { ...same, desiredState: "running" }, event)).toEqual([
      'machine "web" (dm-1) was woken outside of Pulumi, by a call or by its use (a command, a terminal) ' +
        "(resume_from_snapshot by user at 2026-01-02T03:04:05Z: command)",
    ]);
  });

  test("a failure, in the service's words", () => {
    const failed = { ...view, phase: "failed", reason: "image_pull", lastError: "no such image" } as const;
    expect(driftLines("web", failed, before, same)[0]).toMatch(
      /is failed \(image_pull\): no such image; the service says that trying again will not help/,
    );
  });
});
