import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { fillEntry } from "./cache.mjs";
import { run } from "./child.mjs";
import { installLimitMs, noRouteExitCode } from "./download-limits.mjs";

const installer = fileURLToPath(new URL("install-official.mjs", import.meta.url));
const sdkManifest = new URL("../../node_modules/@pulumi/pulumi/package.json", import.meta.url);
const defaultProbeUrl = "https://get.pulumi.com/install.sh";

/** The CLI that belongs to the installed SDK: they are released together. Undefined before `npm ci`. */
export async function officialVersion() {
  try {
    return JSON.parse(await readFile(sdkManifest, "utf8")).version;
  } catch (error) {
    if (error.code === "ENOENT") return undefined;
    throw error;
  }
}

export const officialKey = (version) => `${version}-official-${process.platform}-${process.arch}`;

/** Installs the official CLI into the cache; a `problem` when the site cannot be reached or the installer fails. */
export async function download({ env, signal, progress, probeUrl = defaultProbeUrl }) {
  const version = await officialVersion();
  if (version === undefined) return { problem: "node_modules is missing: run npm ci" };
  progress.start(`Downloading the Pulumi CLI ${version}`, "about a minute");
  try {
    const entry = await fillEntry(officialKey(version), { env, signal }, ({ root, scratch }) =>
      install({ root, scratch, probeUrl, env, signal }),
    );
    progress.done(`Downloaded the Pulumi CLI ${version}`);
    return entry;
  } catch (error) {
    signal?.throwIfAborted();
    progress.done(`The Pulumi CLI could not be downloaded: ${error.message}`);
    return { problem: error.message };
  }
}

async function install({ root, scratch, probeUrl, env, signal }) {
  const { code, output, timedOut } = await run(process.execPath, [installer, root, probeUrl], {
    // A proxy of the environment is honoured, as the shell script's curl honours it; what is half fetched is removed with
    // the folder.
    env: { ...env, NODE_USE_ENV_PROXY: "1", TMPDIR: scratch },
    signal,
    timeoutMs: installLimitMs,
  });
  const lastLine = output.trim().split("\n").at(-1);
  if (timedOut) throw new Error(`not finished after ${installLimitMs / 60_000} minutes`);
  if (code === noRouteExitCode) throw new Error(`no route to ${new URL(probeUrl).host}: ${lastLine}`);
  if (code !== 0) throw new Error(`the installer failed: ${lastLine}`);
}
