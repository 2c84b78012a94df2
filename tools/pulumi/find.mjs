import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { build, builtKey, wantedGo } from "./build.mjs";
import { cacheFolder, usableEntry } from "./cache.mjs";
import { download, officialKey, officialVersion } from "./download.mjs";
import { findOnPath } from "./installation.mjs";
import { withLock } from "./lock.mjs";
import { silent } from "./progress.mjs";
import { minimumVersion } from "./version.mjs";

/** No way led to a CLI; the message says what each one ran into and what to install. */
export class NoPulumiError extends Error {
  name = "NoPulumiError";
  code = "no_pulumi";
}

/**
 * Finds the Pulumi CLI with its Node language host, or makes one: on PATH, in the per-user cache, by the official download,
 * by a build from the Go module proxy, in this order. Resolves with `{ binDir, version, origin }`, where `origin` is
 * "path", "cache", "download" or "build"; rejects with a `NoPulumiError`, or with the signal's reason. Nothing half
 * installed is left behind in any case.
 *
 * `log` is what `progressOn` of progress.mjs makes (default: say nothing), `env` defaults to the process's own, and
 * `probeUrl` is what the download site is probed with.
 */
export async function findPulumi({ log = silent, signal, env = process.env, probeUrl } = {}) {
  const context = { env, signal, progress: log, probeUrl };
  const onPath = await findOnPath(context);
  if (onPath.binDir) return { ...onPath, origin: "path" };
  const cached = await findInCache(context);
  if (cached) return { ...cached, origin: "cache" };

  await mkdir(cacheFolder(env), { recursive: true });
  const onWait = () =>
    log.start("Another process is installing the Pulumi CLI: waiting for it", "a few minutes");
  return await withLock(join(cacheFolder(env), "lock"), { signal, onWait }, async () => {
    log.close();
    const made = await findInCache(context);
    if (made) return { ...made, origin: "cache" };
    const downloaded = await download(context);
    if (downloaded.binDir) return { ...downloaded, origin: "download" };
    const built = await build(context);
    if (built.binDir) return { ...built, origin: "build" };
    const problems = { path: onPath.problem, download: downloaded.problem, build: built.problem };
    throw new NoPulumiError(explain(problems, await wantedGo()));
  }).finally(() => log.close());
}

async function findInCache({ env, signal }) {
  const version = await officialVersion();
  const keys = version === undefined ? [] : [officialKey(version)];
  for (const key of [...keys, await builtKey()]) {
    const entry = await usableEntry(key, { env, signal });
    if (entry) return entry;
  }
  return undefined;
}

const explain = (problems, go) =>
  [
    "No Pulumi CLI was found, and none could be installed.",
    `  On PATH:   ${problems.path}.`,
    `  Download:  ${problems.download}.`,
    `  Go build:  ${problems.build}.`,
    "Do one of these and try again:",
    `  - install Pulumi ${minimumVersion} or a newer 3.x: https://www.pulumi.com/docs/install/`,
    `  - install Go ${go} or newer (https://go.dev/dl/), with access to a Go module proxy: the CLI is then built once.`,
  ].join("\n");
