import { diffMachine } from "../../../provider/src/machine/diff";
import { unknownValue } from "../../../provider/src/hidden";

const olds = {
  vcpu: 1,
  memoryMiB: 2048,
  storageGiB: 20,
  desiredState: "running",
  autosleep: "90m",
  autosleepSeconds: 5400,
  phase: "sleeping",
  timeouts: { create: "10m" },
  __urn: "urn:a",
};
const { vcpu, memoryMiB, storageGiB, desiredState, autosleep } = olds;
const same = { vcpu, memoryMiB, storageGiB, desiredState, autosleep };

describe("diff", () => {
  test.each([
    ["nothing", {}, [], []],
    [
      "a bigger machine",
      { vcpu: 2, memoryMiB: 4096, storageGiB: 40 },
      ["vcpu", "memoryMiB", "storageGiB"],
      [],
    ],
    ["asleep", { desiredState: "sleeping" }, ["desiredState"], []],
    ["the same duration in other words", { autosleep: "1h30m" }, [], []],
    ["the same duration in seconds", { autosleep: "5400" }, [], []],
    ["another duration", { autosleep: "never" }, ["autosleep"], []],
    ["no autosleep argument", { autosleep: undefined }, [], []],
    ["timeouts, budget, names", { timeouts: {}, failure: {}, __urn: "urn:b", __stackIdentity: "x" }, [], []],
    ["a smaller disk, refused", { storageGiB: 10 }, ["storageGiB"], []],
    [
      "a smaller disk, allowed",
      { storageGiB: 10, replaceOnStorageShrink: true },
      ["storageGiB"],
      ["storageGiB"],
    ],
    ["a disk not known yet", { storageGiB: unknownValue, replaceOnStorageShrink: true }, ["storageGiB"], []],
    ["a duration not known yet", { autosleep: unknownValue }, ["autosleep"], []],
  ])("%s", (_name, change, changed, replaces) => {
    expect(diffMachine(olds, { ...same, ...change })).toEqual({
      changed,
      replaces,
      changes: changed.length > 0,
    });
  });
});
