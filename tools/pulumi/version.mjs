/**
 * The oldest CLI that will do. A dynamic provider's `configure` arrived in 3.139.0, and the provider takes its endpoint
 * and credentials from there.
 */
export const minimumVersion = "3.139.0";

/** Reads `v3.250.0`, `3.251.0-alpha.xabc+1` and the like; undefined for anything else. */
export function parseVersion(text) {
  const match = /^v?(\d+)\.(\d+)\.(\d+)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$/.exec(text.trim());
  if (!match) return undefined;
  return { numbers: match.slice(1, 4).map(Number), prerelease: match[4] !== undefined };
}

/** Whether a version is at least another one; the prerelease of a version comes before it. */
export function isAtLeast(version, minimum) {
  const [seen, wanted] = [parseVersion(version), parseVersion(minimum)];
  if (!seen || !wanted) return false;
  for (const [index, number] of seen.numbers.entries()) {
    if (number !== wanted.numbers[index]) return number > wanted.numbers[index];
  }
  return !seen.prerelease || wanted.prerelease;
}

/** Whether this CLI runs the project: new enough, and of the same major version as the SDK. */
export function isSuitable(version) {
  return parseVersion(version)?.numbers[0] === 3 && isAtLeast(version, minimumVersion);
}
