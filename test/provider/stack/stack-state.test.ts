/** What the Pulumi CLI prints of a stack, read. */
import { inState } from "../../../provider/src/stack/find-target";
import { readState } from "../../../provider/src/stack/stack-state";
import { readUpdates, updateAt } from "../../../provider/src/stack/stack-updates";
import { urn } from "./situations";

const secret = { "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", ciphertext: "v1:x" };
const identityUrn = "urn:pulumi:dev::shop::pulumi-nodejs:dynamic/machines:StackIdentity::pulumi-machines";
const machineType = "pulumi-nodejs:dynamic/machines:Machine";

const deployment = (resources: object[], pending?: object[]): string =>
  JSON.stringify({
    version: 3,
    deployment: {
      manifest: { version: "v3.250.0" },
      resources: [
        { urn: "urn:pulumi:dev::shop::pulumi:pulumi:Stack::shop-dev", type: "pulumi:pulumi:Stack" },
        {
          urn: identityUrn,
          type: "pulumi-nodejs:dynamic/machines:StackIdentity",
          id: "i",
          outputs: { identity: "the-stack" },
        },
        ...resources,
      ],
      ...(pending ? { pending_operations: pending } : {}),
    },
  });

const web = { urn, type: machineType, id: "dm-1", outputs: { vcpu: 1 } };

test("a state has its machines, its identity and the CLI that wrote it", () => {
  const text = deployment([
    { ...web, outputs: { vcpu: 1, env: secret, lifetime: { timeout: secret } }, initErrors: ["it failed"] },
    { urn: `${urn}-files`, type: "pulumi-nodejs:dynamic/machines:File", id: "f" },
  ]);
  expect(readState(text)).toMatchObject({
    identity: "the-stack",
    writtenBy: "3.250.0",
    entries: [
      {
        name: "web",
        id: "dm-1",
        outputs: { vcpu: 1 },
        initErrors: ["it failed"],
        isRead: false,
        isReplaced: false,
      },
    ],
    pending: [],
  });
});

test("an empty stack, and one without machines, have nothing", () => {
  expect(readState('{"version":3,"deployment":{"manifest":{"time":"x"}}}')).toMatchObject({
    entries: [],
    pending: [],
  });
  expect(readState('{"version":3}').identity).toBeUndefined();
});

test.each(["", "[]", "no json", '{"deployment":{"resources":"x"}}'])("%p is no state", (text) => {
  expect(() => readState(text)).toThrow('"pulumi stack export" printed no deployment');
});

describe("which machine is meant", () => {
  const other = urn.replace("machines:Machine::web", "machines:Machine::db");
  const state = readState(
    deployment(
      [web, { ...web, id: "dm-0", delete: true }, { ...web, urn: other, id: "mch_2" }],
      [{ type: "creating", resource: { urn: `${other}-new`, type: machineType } }],
    ),
  );

  test.each([
    ["web", "dm-1"],
    [urn, "dm-1"],
    ["dm-1", "dm-1"],
    ["mch_1", "dm-1"],
    ["dm-0", "dm-0"],
    ["db", "mch_2"],
    ["dm-2", "mch_2"],
  ])("%s is %s", (asked, id) => {
    expect(inState(asked, state)?.entry?.id).toBe(id);
  });

  test("one whose create is pending has no entry", () => {
    expect(inState("db-new", state)).toMatchObject({ name: "db-new", pending: { type: "creating" } });
    expect(inState("nobody", state)).toBeUndefined();
  });

  test("a name of several machines is refused with their URNs", () => {
    const inPool = urn.replace("::pulumi-nodejs", "::shop:index:Pool$pulumi-nodejs");
    const both = readState(deployment([web, { ...web, urn: inPool, id: "dm-3" }]));
    expect(() => inState("web", both)).toThrow(
      `"web" is the name of several machines; give one of these: ${urn}, ${inPool}`,
    );
    expect(inState(inPool, both)?.id).toBe("dm-3");
  });
});

test("the history is read oldest first, whatever it is printed for", () => {
  const updates = readUpdates(
    JSON.stringify([
      {
        kind: "destroy",
        startTime: "2026-11-23T10:00:00.000Z",
        endTime: "2026-11-23T10:00:09.000Z",
        result: "failed",
      },
      {
        kind: "update",
        startTime: "2026-11-23T09:00:00.000Z",
        result: "in-progress",
        resourceChanges: { create: 1 },
      },
      { kind: 7 },
    ]),
  );
  expect(updates.map(({ command, result, endedAt }) => [command, result, endedAt])).toEqual([
    ["pulumi up", "in-progress", undefined],
    ["pulumi destroy", "failed", "2026-11-23T10:00:09.000Z"],
  ]);
  expect(readUpdates("Stack has never been updated")).toEqual([]);
});

test("an update stands for what happened while it ran, by clocks of whole seconds", () => {
  const updates = readUpdates(
    JSON.stringify([
      {
        kind: "update",
        startTime: "2026-11-23T09:00:00.000Z",
        endTime: "2026-11-23T09:00:10.000Z",
        result: "succeeded",
      },
    ]),
  );
  expect(updateAt(updates, "2026-11-23T09:00:10.900Z")?.command).toBe("pulumi up");
  expect(updateAt(updates, "2026-11-23T09:00:13.000Z")).toBeUndefined();
  expect(updateAt(updates, "2026-11-23T08:59:50.000Z")).toBeUndefined();
});

test("of two updates that followed each other closely, the one that ran then is named", () => {
  const updates = readUpdates(
    JSON.stringify([
      {
        kind: "update",
        startTime: "2026-11-23T09:00:00Z",
        endTime: "2026-11-23T09:00:10Z",
        result: "failed",
      },
      {
        kind: "update",
        startTime: "2026-11-23T09:00:11Z",
        endTime: "2026-11-23T09:00:20Z",
        result: "succeeded",
      },
    ]),
  );
  expect(updateAt(updates, "2026-11-23T09:00:09.900Z")?.result).toBe("failed");
  expect(updateAt(updates, "2026-11-23T09:00:10.700Z")?.result).toBe("succeeded");
});
