import { callEach } from "./tool-call";

const versions: [printed: string, expected: string | null][] = [
  ["go1.26.8", "1.26.8"],
  ["go1.26", "1.26.0"],
  ["go1.27rc1", "1.27.0-rc1"],
  ["go1.26.8-X:nodwarf5\n", "1.26.8"],
  ["devel go1.27-abcdef", null],
];

const tooOld = "go is 1.24.3, and 1.25.11 or newer is needed";
const problems: [version: string | null, toolchain: string, expected: string | null][] = [
  ["1.26.8", "local", null],
  ["1.25.11", "auto", null],
  ["1.24.3", "local", tooOld],
  ["1.24.3", "auto", null],
  ["1.24.3", "go1.24.3", tooOld],
  ["1.24.3", "path", tooOld],
  ["1.20.0", "auto", "go is 1.20.0, and 1.25.11 or newer is needed"],
  [null, "auto", "go is of an unknown version, and 1.25.11 or newer is needed"],
];

test("reads the versions that go prints", async () => {
  const outcomes = await callEach(
    "pulumi/go.mjs",
    "parseGoVersion",
    versions.map(([printed]) => [printed]),
  );
  expect(versions.map(([printed], index) => [printed, outcomes[index]?.value])).toEqual(versions);
});

test("says when go is too old and will not fetch a newer toolchain", async () => {
  const outcomes = await callEach(
    "pulumi/go.mjs",
    "problemOfGo",
    problems.map(([version, toolchain]) => [{ version, toolchain, wanted: "1.25.11" }]),
  );
  expect(problems.map(([a, b], index) => [a, b, outcomes[index]?.value])).toEqual(problems);
});
