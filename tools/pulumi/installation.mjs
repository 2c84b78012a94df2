import { constants } from "node:fs";
import { access, realpath } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { run } from "./child.mjs";
import { isSuitable, minimumVersion, parseVersion } from "./version.mjs";

/** What the engine starts beside itself: the host of TypeScript programs and the one of dynamic providers. */
export const companions = ["pulumi-language-nodejs", "pulumi-resource-pulumi-nodejs"];

const versionLimitMs = 30_000;

const isExecutable = (file) =>
  access(file, constants.X_OK).then(
    () => true,
    () => false,
  );

const pathFolders = (env) => (env.PATH ?? "").split(delimiter).filter((folder) => folder !== "");

/** The version that a `pulumi` reports, without the leading v; undefined when it does not run or reports none. */
export async function reportedVersion(file, { env, signal }) {
  const result = await run(file, ["version"], {
    env: { ...env, PULUMI_SKIP_UPDATE_CHECK: "1" },
    signal,
    timeoutMs: versionLimitMs,
  }).catch((error) => {
    signal?.throwIfAborted();
    return { code: null, output: String(error) };
  });
  const line = result.output.split("\n").find((each) => parseVersion(each));
  return result.code === 0 && line ? line.trim().replace(/^v/, "") : undefined;
}

/** The first companion that is neither in `folder` nor on PATH. */
async function missingCompanion(folder, env) {
  for (const name of companions) {
    const places = await Promise.all(
      [folder, ...pathFolders(env)].map((each) => isExecutable(join(each, name))),
    );
    if (!places.includes(true)) return name;
  }
  return undefined;
}

/**
 * Looks at each `pulumi` on PATH, first to last, for one that runs this project. A link into an installation counts as
 * that installation, because the companions are beside the real file.
 */
export async function findOnPath({ env, signal }) {
  const problems = [];
  for (const folder of pathFolders(env)) {
    const file = join(folder, "pulumi");
    if (!(await isExecutable(file))) continue;
    const version = await reportedVersion(file, { env, signal });
    if (version === undefined) {
      problems.push(`${file} does not run`);
      continue;
    }
    if (!isSuitable(version)) {
      problems.push(`${file} is ${version}, and ${minimumVersion} or a newer 3.x is needed`);
      continue;
    }
    for (const binDir of [folder, dirname(await realpath(file))]) {
      if ((await missingCompanion(binDir, env)) === undefined) return { binDir, version };
    }
    problems.push(`${file} has no ${await missingCompanion(folder, env)} beside it or on PATH`);
  }
  return { problem: problems.length > 0 ? problems.join("; ") : "there is no pulumi" };
}
