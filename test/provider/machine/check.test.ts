import { checkMachine as check } from "../../../provider/src/machine/check";
import type { Backend } from "../../../provider/src/controlplane/capabilities";
import { unknownValue } from "../../../provider/src/hidden";

const checkMachine = (
  olds: Record<string, unknown>,
  news: Record<string, unknown>,
  backend: Backend = "dedalus",
) => check(olds, news, { backend });

describe("check", () => {
  test("fills in what a machine is and remembers which; how an operation is done is recorded only where it was said", () => {
    expect(checkMachine({}, { __provider: "loader" })).toEqual({
      failures: [],
      inputs: {
        vcpu: 1,
        memoryMiB: 2048,
        storageGiB: 10,
        desiredState: "running",
        __provider: "loader",
        __defaults: ["vcpu", "memoryMiB", "storageGiB"],
      },
    });
  });

  test("a machine keeps the default that it was made with, and takes a new one when its own value is dropped", () => {
    const olds = { vcpu: 0.5, memoryMiB: 1024, __defaults: ["memoryMiB"] };
    expect(checkMachine(olds, {}).inputs).toMatchObject({ vcpu: 1, memoryMiB: 1024 });
  });

  test("an empty failure or timeouts is its defaults", () => {
    expect(checkMachine({}, { failure: {}, timeouts: {} }).inputs).toMatchObject({
      failure: { retries: 3 },
      timeouts: { create: "10m", update: "10m", delete: "5m" },
    });
  });

  test("half of the timeouts leaves the others at their defaults", () => {
    expect(checkMachine({}, { timeouts: { create: "1h" } }).inputs.timeouts).toEqual({
      create: "1h",
      update: "10m",
      delete: "5m",
    });
  });

  test("tells all failures at once, each under a top-level name", () => {
    const { failures } = checkMachine(
      {},
      {
        vcpu: 0.3,
        memoryMiB: "2 GiB",
        autosleep: "soon",
        desiredState: "off",
        failure: { retries: 99 },
        timeouts: { create: "3h", remove: "1m" },
        memory: 1,
      },
    );
    expect(failures).toEqual([
      {
        property: "memory",
        reason: expect.stringContaining("is no argument of a Machine; known are vcpu") as string,
      },
      { property: "vcpu", reason: "must be in quarters, such as 0.25, 0.5 or 1" },
      { property: "memoryMiB", reason: "must be a whole number of MiB such as 2048" },
      { property: "autosleep", reason: expect.stringContaining('"soon" is not a duration') as string },
      { property: "desiredState", reason: 'must be "running", "sleeping" or "any"' },
      { property: "failure", reason: "failure.retries must be from 0 to 20" },
      { property: "timeouts", reason: 'timeouts.create must be from 1s to 2h, got "3h"' },
      { property: "timeouts", reason: "has no remove" },
    ]);
  });

  test("tolerates what is not known yet, at any depth", () => {
    const news = {
      vcpu: unknownValue,
      storageGiB: unknownValue,
      autosleep: unknownValue,
      timeouts: { create: unknownValue },
    };
    const { inputs, failures } = checkMachine({ storageGiB: 20 }, news);
    expect(failures).toEqual([]);
    expect(inputs).toMatchObject(news);
  });

  test.each([
    ["refused", {}, 1],
    ["allowed by the argument", { replaceOnStorageShrink: true }, 0],
    ["allowed by the option", { __replaceOnStorageChange: true }, 0],
  ])("a smaller disk is %s", (_name, more, failures) => {
    const result = checkMachine({ storageGiB: 20 }, { storageGiB: 10, ...more });
    expect(result.failures).toHaveLength(failures);
    if (failures > 0)
      expect(result.failures[0]?.reason).toMatch(/it has 20 GiB.*replaceOnStorageShrink: true/);
  });
});

describe("sizes of a machine that is made from another one", () => {
  test.each([
    ["from", { from: { snapshot: "snap_1" } }],
    ["from, not known yet", { from: { snapshot: unknownValue } }],
    ["adopt", { adopt: "dm-1" }],
  ])("%s: those that are not given stay those of the source", (_name, source) => {
    const { inputs, failures } = checkMachine({}, { ...source, vcpu: 2 }, "local");
    expect(failures).toEqual([]);
    expect(inputs).toMatchObject({ vcpu: 2 });
    expect(inputs).not.toHaveProperty("memoryMiB");
    expect(inputs).not.toHaveProperty("__defaults");
  });

  test("when `adopt` is taken out of the program, the machine keeps its size", () => {
    const olds = { adopt: "dm-1", desiredState: "running" };
    expect(checkMachine(olds, {}, "local").inputs).toEqual({ desiredState: "running" });
  });
});

describe("what a backend cannot do is refused, naming property and backend", () => {
  const refused = (backend: Backend, args: Record<string, unknown>, olds = {}) =>
    checkMachine(olds, args, backend).failures.map(({ property }) => property);

  test.each<[Backend, Record<string, unknown>, string[]]>([
    ["dedalus", { template: "base" }, ["template"]],
    ["dedalus", { from: { machine: "dm-1" } }, ["from"]],
    [
      "dedalus",
      { env: { A: "b" }, cwd: "/w", metadata: { a: 1 }, lifetime: { timeout: "8h" }, ephemeral: true },
      ["env", "cwd", "metadata", "lifetime", "ephemeral"],
    ],
    ["dedalus", { autoResume: true, beforeReplace: "snapshot" }, ["autoResume", "beforeReplace"]],
    ["dedalus", { network: { egress: { mode: "deny_all" } } }, ["network"]],
    ["local", { network: { egress: { mode: "deny_all" } } }, []],
    ["local", { network: { egress: { mode: "custom", allowCidrs: ["10.0.0.0/8"] } } }, ["network"]],
    ["local", { network: { allowPublicTraffic: false } }, ["network"]],
    [
      "local",
      { vcpu: 0.25, template: "base", env: { A: "b" }, autosleep: "5m", lifetime: { inactivity: "1h" } },
      [],
    ],
    ["nullspace", { vcpu: 0.25 }, ["vcpu"]],
    ["nullspace", { from: { snapshot: "snap_1" }, memoryMiB: 512 }, ["memoryMiB"]],
    [
      "nullspace",
      { from: { machine: "mch_1" }, metadata: { a: 1 }, autosleep: "5m" },
      ["metadata", "autosleep"],
    ],
    [
      "nullspace",
      { from: { machine: "mch_1" }, lifetime: { timeout: "1h", inactivity: "5m" } },
      ["lifetime"],
    ],
    ["nullspace", { autosleep: "5m", lifetime: { inactivity: "1h" } }, ["autosleep"]],
    ["nullspace", { autosleep: "5m", lifetime: { then: "destroy", timeout: "1h" } }, ["autosleep"]],
    [
      "nullspace",
      { network: { egress: { mode: "custom", allowCidrs: ["10.0.0.0/8"] }, allowPublicTraffic: false } },
      [],
    ],
  ])("%s: %j", (backend, args, properties) => {
    expect(refused(backend, args)).toEqual(properties);
    for (const { reason } of checkMachine({}, args, backend).failures)
      expect(reason).toContain(`"${backend}"`);
  });

  test("a wrong setting of the backend does not hide what is wrong with the arguments", () => {
    expect(check({}, { vcpu: 0.3, template: "x" }, { backend: undefined }).failures).toHaveLength(1);
  });
});

describe("arguments that contradict each other", () => {
  test.each([
    [{ from: { snapshot: "s", machine: "m" } }, ["from"]],
    [{ from: {} }, ["from"]],
    [{ from: { snapshot: "s" }, env: { A: "b" } }, ["env"]],
    [{ from: { snapshot: "s" }, beforeReplace: "snapshot" }, ["beforeReplace"]],
    [{ adopt: "dm-1", from: { machine: "m" }, template: "base" }, ["from", "template"]],
    [{ metadata: { "pulumi:stack": "x" } }, ["metadata"]],
    [{ ephemeral: true, autoResume: true, lifetime: { then: "sleep" } }, ["lifetime", "autoResume"]],
    [{ autoResume: true, lifetime: { then: "destroy" } }, ["autoResume"]],
    [{ env: { "A-B": "c" } }, ["env"]],
    [{ cwd: "work" }, ["cwd"]],
    [{ lifetime: { timeout: "0" } }, ["lifetime"]],
  ])("%j", (args, properties) => {
    expect(checkMachine({}, args, "local").failures.map(({ property }) => property)).toEqual(properties);
  });

  test("with beforeReplace, what the snapshot brings cannot change", () => {
    const olds = { beforeReplace: "snapshot", env: { A: "1" }, vcpu: 1, desiredState: "running" };
    const news = { ...olds, env: { A: "2" }, vcpu: 2 };
    expect(checkMachine(olds, news, "local").failures).toEqual([
      { property: "env", reason: expect.stringContaining("from the snapshot of the old one") as string },
    ]);
    expect(checkMachine(olds, news, "nullspace").failures.map(({ property }) => property)).toEqual([
      "vcpu",
      "env",
    ]);
  });
});
