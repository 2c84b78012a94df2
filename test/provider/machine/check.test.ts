import { checkMachine } from "../../../provider/src/machine/check";
import { unknownValue } from "../../../provider/src/hidden";

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
      { property: "desiredState", reason: 'must be "running" or "sleeping"' },
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
