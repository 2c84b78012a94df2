import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { companions, reportedVersion } from "./installation.mjs";

/**
 * The per-user cache: `<folder>/<key>/bin/...` and `<folder>/<key>/installed.json`. An entry is filled in a temporary
 * folder beside it, stamped last and then renamed into place, so that a reader sees all of it or nothing.
 */

const stampName = "installed.json";
const temporaryPrefix = ".filling-";
/** A temporary folder this old was left by a process that could not clean up. */
const abandonedAfterMs = 24 * 60 * 60 * 1000;

export function cacheFolder(env) {
  const base = env.XDG_CACHE_HOME || join(env.HOME || homedir(), ".cache");
  return join(base, "pulumi-machines", "pulumi");
}

/** Even `pulumi version` writes a log into its home: not into the user's, when it is the cached one that is checked. */
const checkedVersion = (binDir, { env, signal }) =>
  reportedVersion(join(binDir, "pulumi"), {
    env: { ...env, PULUMI_HOME: join(cacheFolder(env), "home") },
    signal,
  });

const binDirOf = (entry) => join(entry, "bin");

async function sizesIn(binDir) {
  const sizes = {};
  for (const name of ["pulumi", ...companions]) sizes[name] = (await stat(join(binDir, name))).size;
  return sizes;
}

/** The entry when it is whole: stamped, every file of the stamped size, and a `pulumi` that runs. */
export async function usableEntry(key, { env, signal }) {
  const entry = join(cacheFolder(env), key);
  const binDir = binDirOf(entry);
  try {
    const stamp = JSON.parse(await readFile(join(entry, stampName), "utf8"));
    if (JSON.stringify(stamp.sizes) !== JSON.stringify(await sizesIn(binDir))) return undefined;
    const version = await checkedVersion(binDir, { env, signal });
    return version === stamp.version ? { binDir, version } : undefined;
  } catch (error) {
    signal?.throwIfAborted();
    // Not there, or half there: both mean that it has to be made again.
    if (error.code === "ENOENT" || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/**
 * Makes an entry: `fill({ root, scratch })` puts the executables in `bin` of the root, and what it needs on the way in
 * the scratch folder. Whatever goes wrong, the temporary folder is removed and the entry of before is as it was. Of two
 * processes that fill one key, the second to finish takes the first one's entry.
 */
export async function fillEntry(key, { env, signal }, fill) {
  const folder = cacheFolder(env);
  await mkdir(folder, { recursive: true });
  await removeAbandoned(folder);
  const temporary = await mkdtemp(join(folder, temporaryPrefix));
  try {
    const scratch = join(temporary, "scratch");
    await mkdir(scratch);
    await fill({ root: temporary, scratch });
    await rm(scratch, { recursive: true, force: true });
    const binDir = binDirOf(temporary);
    const version = await checkedVersion(binDir, { env, signal });
    if (version === undefined) throw new Error(`The new ${join(binDir, "pulumi")} does not run.`);
    const stamp = { version, sizes: await sizesIn(binDir), installedAt: new Date().toISOString() };
    await writeFile(join(temporary, stampName), JSON.stringify(stamp, undefined, 2) + "\n");
    signal?.throwIfAborted();
    await publish(temporary, key, { env, signal });
    return { binDir: binDirOf(join(folder, key)), version };
  } finally {
    // A killed compiler may still be writing its last file.
    await rm(temporary, { recursive: true, force: true, maxRetries: 5 });
  }
}

async function publish(temporary, key, { env, signal }) {
  const entry = join(cacheFolder(env), key);
  try {
    await rename(temporary, entry);
    return;
  } catch (error) {
    if (error.code !== "ENOTEMPTY" && error.code !== "EEXIST") throw error;
  }
  if (await usableEntry(key, { env, signal })) return;
  const broken = await mkdtemp(join(cacheFolder(env), temporaryPrefix));
  try {
    await rename(entry, join(broken, "entry"));
    await rename(temporary, entry);
  } finally {
    await rm(broken, { recursive: true, force: true });
  }
}

async function removeAbandoned(folder) {
  for (const name of await readdir(folder)) {
    if (!name.startsWith(temporaryPrefix)) continue;
    const path = join(folder, name);
    const seen = await stat(path).catch(() => undefined);
    if (seen && Date.now() - seen.mtimeMs > abandonedAfterMs)
      await rm(path, { recursive: true, force: true });
  }
}
