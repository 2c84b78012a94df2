import { earlierOutput } from "../../../provider/src/command/earlier-output";

const stdout = (text: unknown): string => earlierOutput({ stdout: text }).PULUMI_COMMAND_STDOUT ?? "";

test("what the earlier run wrote is in two variables, empty where it wrote nothing", () => {
  expect(earlierOutput({ stdout: "out", stderr: "err" })).toEqual({
    PULUMI_COMMAND_STDOUT: "out",
    PULUMI_COMMAND_STDERR: "err",
  });
  expect(earlierOutput({})).toEqual({ PULUMI_COMMAND_STDOUT: "", PULUMI_COMMAND_STDERR: "" });
});

test.each(["x", "é", "語", "🦊"])("of a lot of %s the end is kept, in whole characters", (character) => {
  const kept = stdout(`begun ${character.repeat(100_000)}`);
  expect(Buffer.byteLength(kept)).toBeLessThanOrEqual(64 * 1024);
  expect(Buffer.byteLength(kept)).toBeGreaterThan(64 * 1024 - 4);
  expect(kept).toMatch(new RegExp(`^(${character})+$`, "u"));
});

test("a null character, which no variable can hold, is left out", () => {
  expect(stdout("a\0b")).toBe("ab");
});
