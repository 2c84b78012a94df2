import { callEach } from "./tool-call";

const suitable: [version: string, expected: boolean, name: string][] = [
  ["3.139.0", true, "the oldest that will do"],
  ["v3.250.0", true, "a leading v"],
  ["3.250.0-alpha.x1a2b", true, "a prerelease of a newer one"],
  ["3.250.0+dirty", true, "build metadata"],
  ["3.138.9", false, "one too old"],
  ["3.99.100", false, "numbers compare as numbers"],
  ["3.139.0-alpha.1", false, "the prerelease of the oldest"],
  ["2.250.0", false, "an older major version"],
  ["4.0.0", false, "a newer major version"],
  ["", false, "nothing"],
  ["error: 3.250.0 is broken", false, "a sentence"],
];

const atLeast: [version: string, minimum: string, expected: boolean][] = [
  ["1.26.8", "1.25.11", true],
  ["1.25.11", "1.25.11", true],
  ["1.25.9", "1.25.11", false],
  ["1.25.11-rc1", "1.25.11", false],
  ["1.25.11-rc1", "1.25.11-rc1", true],
  ["2.0.0", "1.25.11", true],
  ["nothing", "1.25.11", false],
];

test("tells which CLI runs the project", async () => {
  const outcomes = await callEach(
    "pulumi/version.mjs",
    "isSuitable",
    suitable.map(([version]) => [version]),
  );
  const seen = suitable.map(([version, , name], index) => [version, outcomes[index]?.value, name]);
  expect(seen).toEqual(suitable);
});

test("compares versions as semver does", async () => {
  const outcomes = await callEach(
    "pulumi/version.mjs",
    "isAtLeast",
    atLeast.map(([version, minimum]) => [version, minimum]),
  );
  expect(atLeast.map(([a, b], index) => [a, b, outcomes[index]?.value])).toEqual(atLeast);
});
