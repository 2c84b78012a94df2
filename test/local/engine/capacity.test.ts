import { Capacity } from "../../../local/src/engine/capacity";

const limits = { machineVcpu: 2, vcpu: 4, memoryMiB: 1000, placementTimeoutMs: 0 };

test("gives room until there is none, and again when it came back", () => {
  const capacity = new Capacity(limits);
  expect(capacity.take("a", { vcpu: 2, memoryMiB: 600 })).toBe(true);
  expect(capacity.take("b", { vcpu: 1, memoryMiB: 600 })).toBe(false);
  capacity.release("a");
  expect(capacity.take("b", { vcpu: 1, memoryMiB: 600 })).toBe(true);
});

test("counts a machine's new size in place of its old one", () => {
  const capacity = new Capacity(limits);
  expect(capacity.take("a", { vcpu: 2, memoryMiB: 600 })).toBe(true);
  expect(capacity.take("a", { vcpu: 1, memoryMiB: 1000 })).toBe(true);
  expect(capacity.take("a", { vcpu: 1, memoryMiB: 1001 })).toBe(false);
  expect(capacity.free()).toBe("free: 3 of 4 vCPU, 0 of 1000 MiB");
});

test("says what never fits", () => {
  const capacity = new Capacity(limits);
  expect(capacity.neverFits({ vcpu: 3, memoryMiB: 1 })).toBe("asked for 3 vCPU, the host has 2");
  expect(capacity.neverFits({ vcpu: 1, memoryMiB: 1001 })).toMatch(
    "1001 MiB of memory, the host has 1000 MiB",
  );
  expect(capacity.neverFits({ vcpu: 2, memoryMiB: 1000 })).toBeUndefined();
});

test("tells those who wait when room came back, and lets go of them when aborted", async () => {
  const capacity = new Capacity(limits);
  capacity.take("a", { vcpu: 2, memoryMiB: 1000 });
  const changed = capacity.changed(60_000, new AbortController().signal);
  capacity.release("a");
  await changed;
  const abort = new AbortController();
  const aborted = capacity.changed(60_000, abort.signal);
  abort.abort();
  await aborted;
});
