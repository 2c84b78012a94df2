import { core } from "../../../provider/src/snapshot/lifecycle";
import { snapshotReference } from "../../../provider/src/snapshot/reference";
import { unknownValue } from "../../../provider/src/hidden";
import type { Backend } from "../../../provider/src/controlplane/capabilities";

const check = (news: Record<string, unknown>, backend: Backend = "local") =>
  core.check({}, news, { backend });

describe("check", () => {
  test.each([
    [{}, "machineId", /must be the id of a machine/],
    [{ machineId: 7 }, "machineId", /must be the id of a machine/],
    [{ machineId: "" }, "machineId", /must be the id of a machine/],
    [{ machineId: "dm-1", triggers: "now" }, "triggers", /must be a list/],
    [{ machineId: "dm-1", metadata: { "pulumi:key": "x" } }, "metadata", /pulumi:key: names that begin with/],
    [{ machineId: "dm-1", timeouts: { create: "3h" } }, "timeouts", /timeouts.create must be from 1s to 2h/],
    [{ machineId: "dm-1", colour: "red" }, "colour", /is no argument of a Snapshot; known are machineId/],
  ])("%j is refused", (news, property, reason) => {
    expect(check(news).failures).toEqual([{ property, reason: expect.stringMatching(reason) as string }]);
  });

  test("values that are not known yet pass", () => {
    const news = { machineId: unknownValue, triggers: [unknownValue], metadata: { x: unknownValue } };
    expect(check(news)).toEqual({ inputs: news, failures: [] });
  });

  test("a backend without snapshots refuses the resource, one without their metadata refuses that", () => {
    const news = { machineId: "dm-1", metadata: { team: "shop" } };
    expect(check(news, "dedalus").failures).toEqual([
      {
        property: "machineId",
        reason: expect.stringMatching(/^the backend "dedalus" has no snapshots/) as string,
      },
    ]);
    expect(check(news, "nullspace").failures).toEqual([
      {
        property: "metadata",
        reason: expect.stringMatching(/^the backend "nullspace" keeps no metadata/) as string,
      },
    ]);
    expect(check({ machineId: "mch_1" }, "nullspace").failures).toEqual([]);
  });
});

describe("diff", () => {
  const olds = { machineId: "dm-1", triggers: ["a"], sizeBytes: 1, createdAt: "x" };
  test.each([
    [
      { machineId: "dm-1", triggers: ["a"] },
      { changes: false, replaces: [] },
    ],
    [
      { machineId: "dm-2", triggers: ["a"] },
      { changes: true, replaces: ["machineId"] },
    ],
    [
      { machineId: "dm-1", triggers: ["b"] },
      { changes: true, replaces: ["triggers"] },
    ],
    [{ machineId: "dm-1" }, { changes: true, replaces: ["triggers"] }],
    [
      { machineId: "dm-1", triggers: ["a"], metadata: { x: 1 } },
      { changes: true, replaces: ["metadata"] },
    ],
    [
      { machineId: unknownValue, triggers: ["a"] },
      { changes: true, replaces: [] },
    ],
    [
      { machineId: "dm-1", triggers: [unknownValue] },
      { changes: true, replaces: [] },
    ],
    [
      { machineId: "dm-1", triggers: ["a"], timeouts: { delete: "1m" } },
      { changes: true, replaces: [] },
    ],
  ])("%j is %j", (news, expected) => {
    expect(core.diff(olds, news)).toEqual(expected);
  });
});

test("the reference describes every argument and output, and what a change does", () => {
  const entries = snapshotReference();
  expect(entries.map(({ name }) => name)).toEqual([
    ...["machineId", "triggers", "metadata", "adopt", "timeouts"],
    ...["id", "sizeBytes", "createdAt"],
  ]);
  expect(entries.every(({ description }) => description !== "")).toBe(true);
  expect(entries.find(({ name }) => name === "triggers")?.change).toBe("takes a new snapshot");
});
