/** Versions that do not work together. */
import { ago, clockTime, stamp } from "../../../provider/src/stack/times";
import { compareVersions, versionFindings, type Versions } from "../../../provider/src/stack/versions";

const fine: Versions = {
  node: "24.21.0",
  cli: "3.250.0",
  writtenBy: "3.250.0",
  sdk: "3.270.0",
  provider: "0.1.0",
  own: "0.1.0",
  plane: "0.1.0",
  schema: { has: 1, knows: 1 },
};

test("versions that work together are no findings", () => {
  expect(versionFindings(fine)).toEqual([]);
  expect(versionFindings({ ...fine, node: "22.13.0", sdk: "3.139.0", cli: "3.251.0" })).toEqual([]);
});

test.each<[Partial<Versions>, string, RegExp]>([
  [{ node: undefined }, "node", /no node on the PATH/],
  [{ node: "22.12.0" }, "node", /Node\.js 22\.12\.0, and pulumi-machines needs 22\.13\.0/],
  [{ node: "20.19.0" }, "node", /20\.19\.0/],
  [{ cli: "3.100.0" }, "pulumi", /the Pulumi CLI is 3\.100\.0/],
  [{ writtenBy: "3.260.1" }, "pulumi", /written by Pulumi 3\.260\.1, and this CLI is 3\.250\.0/],
  [{ sdk: undefined }, "@pulumi/pulumi", /not installed/],
  [{ sdk: "3.138.9" }, "@pulumi/pulumi", /needs 3\.139\.0 or newer/],
  [{ sdk: "4.0.0" }, "@pulumi/pulumi", /below 4/],
  [{ provider: undefined }, "pulumi-machines", /not installed in the project/],
  [{ provider: "0.2.0" }, "pulumi-machines", /has pulumi-machines 0\.2\.0, and this command is of 0\.1\.0/],
  [{ plane: "0.0.9" }, "control plane", /of version 0\.0\.9/],
  [{ schema: { has: 2, knows: 1 } }, "state", /newer pulumi-machines \(form 2; this one knows 1\)/],
])("%p is a fault of %s", (given, subject, words) => {
  const findings = versionFindings({ ...fine, ...given });
  expect(findings).toHaveLength(1);
  expect(findings[0]).toMatchObject({ kind: "version", severity: "fault", subject });
  expect(findings[0]?.what).toMatch(words);
});

test("versions are compared by their numbers", () => {
  expect(compareVersions("3.9.0", "3.10.0")).toBeLessThan(0);
  expect(compareVersions("v3.10.0-alpha.1", "3.10.0")).toBe(0);
  expect(compareVersions("4.0.0", "3.10.0")).toBeGreaterThan(0);
});

test("times are told as people tell them", () => {
  const nowMs = Date.parse("2026-11-23T10:00:00Z");
  expect(ago("2026-11-23T09:59:59.500Z", nowMs)).toBe("just now");
  expect(ago("2026-11-23T09:59:59Z", nowMs)).toBe("1 second ago");
  expect(ago("2026-11-20T09:00:00Z", nowMs)).toBe("3 days ago");
  expect(ago("nonsense", nowMs)).toBe("just now");
  expect(clockTime("2026-11-22T23:00:00.123Z", nowMs)).toBe("2026-11-22 23:00:00 UTC");
  expect(stamp("nonsense")).toBe("nonsense");
});
