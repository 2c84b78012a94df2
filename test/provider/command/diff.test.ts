import { unknownValue } from "../../../provider/src/hidden";
import { diffCommand, mustRun } from "../../../provider/src/command/diff";
import { core } from "../../../provider/src/command/lifecycle";

const olds = { machineId: "dm-1", create: "make", environment: { A: "1" }, triggers: ["a"], stdout: "made" };
const same = { machineId: "dm-1", create: "make", environment: { A: "1" }, triggers: ["a"] };

describe("a change of a command", () => {
  test.each<[string, Record<string, unknown>, boolean, string[], boolean]>([
    ["nothing", {}, false, [], false],
    ["another line", { create: "make all" }, true, [], true],
    ["argv instead of a line", { create: ["make"] }, true, [], true],
    ["a variable", { environment: { A: "2" } }, true, [], true],
    ["another machine", { machineId: "dm-2" }, true, ["machineId"], false],
    ["triggers", { triggers: ["b"] }, true, ["triggers"], false],
    ["triggers, not known yet", { triggers: [unknownValue] }, true, [], false],
    ["only what runs at the end", { delete: "clean" }, true, [], false],
    ["only how it is shown", { logging: "none" }, true, [], false],
  ])("%s", (_name, change, changes, replaces, runs) => {
    const news = { ...same, ...change };
    expect(diffCommand(olds, news)).toEqual({ changes, replaces });
    expect(mustRun(olds, news)).toBe(runs);
  });
});

describe("the check of a command", () => {
  const failures = (args: Record<string, unknown>) =>
    core.check({}, { machineId: "dm-1", create: "true", ...args }, { backend: "local" }).failures;

  test.each([
    [{ create: "" }, "create"],
    [{ create: [] }, "create"],
    [{ machineId: undefined }, "machineId"],
    [{ environment: { "A B": "c" } }, "environment"],
    [{ timeout: "soon" }, "timeout"],
    [{ logging: "loud" }, "logging"],
    [{ user: "root" }, "user"],
  ])("refuses %j", (args, property) => {
    expect(failures(args).map((failure) => failure.property)).toEqual([property]);
  });

  test("never names a secret argument, whose value would be printed", () => {
    const args = { environment: { "A B": "hunter2" }, __secret: ["environment.A B"] };
    expect(failures(args)).toEqual([
      { property: "machineId", reason: expect.stringMatching(/^the argument environment: /) as string },
    ]);
  });

  test("keeps the marks that make the output a secret, and knows no other output", () => {
    const news = { machineId: "dm-1", create: "true", stdout: "", stderr: unknownValue, exitCode: 0 };
    const { inputs, failures: found } = core.check({}, news, { backend: "local" });
    expect(inputs).toMatchObject({ stdout: "", stderr: unknownValue });
    expect(found.map(({ property }) => property)).toEqual(["exitCode"]);
  });

  test("lets pass what is not known yet", () => {
    expect(
      failures({ machineId: unknownValue, stdin: unknownValue, environment: { A: unknownValue } }),
    ).toEqual([]);
  });
});
