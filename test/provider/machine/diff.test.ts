import { backends, type Backend } from "../../../provider/src/controlplane/capabilities";
import { diffMachine, warningsOf } from "../../../provider/src/machine/diff";
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
const same = { timeouts: olds.timeouts, vcpu, memoryMiB, storageGiB, desiredState, autosleep };

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
    ["budget, names", { failure: {}, __urn: "urn:b", __stackIdentity: "x" }, [], []],
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
    const diff = diffMachine("dm-1", olds, { ...same, ...change }, "dedalus");
    expect(diff.changed.map(({ name }) => name)).toEqual(changed);
    expect(diff).toMatchObject({ replaces, changes: changed.length > 0 });
  });

  test.each<[string, Record<string, unknown>, Record<Backend, string[]>]>([
    ["sizes", { vcpu: 2, storageGiB: 40 }, { local: [], dedalus: [], nullspace: ["vcpu", "storageGiB"] }],
    ["a timeout", { lifetime: { timeout: "9h" } }, { local: [], dedalus: [], nullspace: [] }],
    [
      "an inactivity",
      { lifetime: { timeout: "8h", inactivity: "1h" } },
      { local: ["lifetime"], dedalus: ["lifetime"], nullspace: ["lifetime"] },
    ],
    ["egress", { network: { egress: { mode: "deny_all" } } }, { local: [], dedalus: [], nullspace: [] }],
    [
      "triggers",
      { triggers: ["b"] },
      { local: ["triggers"], dedalus: ["triggers"], nullspace: ["triggers"] },
    ],
    ["triggers, not known yet", { triggers: [unknownValue] }, { local: [], dedalus: [], nullspace: [] }],
    ["the same variables", { env: { A: "1" } }, { local: [], dedalus: [], nullspace: [] }],
    ["other variables", { env: { A: "2" } }, { local: ["env"], dedalus: ["env"], nullspace: ["env"] }],
  ])("%s: what is replaced on which backend", (_name, change, replaces) => {
    const before = { ...olds, lifetime: { timeout: "8h" }, triggers: ["a"], env: { A: "1" } };
    const after = { ...same, lifetime: { timeout: "8h" }, triggers: ["a"], env: { A: "1" }, ...change };
    for (const backend of backends) {
      expect(diffMachine("dm-1", before, after, backend).replaces).toEqual(replaces[backend]);
    }
  });

  test("`adopt` is of the create only: the same machine, in any of its names, is no change", () => {
    const replacesWith = (adopt: string | undefined) =>
      diffMachine("dm-1", { ...olds, adopt: "dm-1" }, { ...same, adopt }, "local").replaces;
    expect(replacesWith("mch_1")).toEqual([]);
    expect(replacesWith(undefined)).toEqual([]);
    expect(replacesWith("dm-2")).toEqual(["adopt"]);
  });

  test("other timeouts come into the state, where a delete finds them, and replace nothing", () => {
    const diff = diffMachine("dm-1", olds, { ...same, timeouts: { create: "10m", delete: "1h" } }, "local");
    expect(diff).toEqual({ changes: true, replaces: [], changed: [] });
  });

  test("a machine that failed is changed by the next update, whatever the program says", () => {
    expect(diffMachine("dm-1", { ...olds, phase: "failed" }, same, "local").changes).toBe(true);
  });
});

describe("the lines of a preview", () => {
  const lines = (change: Record<string, unknown>, backend: Backend) => {
    const news = { ...same, ...change };
    return warningsOf("web", diffMachine("dm-1", olds, news, backend), news).join("\n");
  };

  test("say when a disk is lost, when it is kept, and when processes end", () => {
    expect(lines({ template: "x" }, "local")).toMatch(/replaced \(template\) and ITS DISK IS LOST/);
    expect(lines({ triggers: ["x"], beforeReplace: "snapshot" }, "local")).toMatch(
      /replaced \(triggers\); the new one starts from a snapshot/,
    );
    expect(lines({ network: { egress: { mode: "deny_all" } } }, "local")).toMatch(
      /restarted \(network.egress\)/,
    );
    expect(lines({ network: { egress: { mode: "deny_all" } } }, "nullspace")).toBe("");
    expect(lines({ vcpu: 2 }, "local")).toBe("");
  });
});
