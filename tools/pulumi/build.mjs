import { createHash } from "node:crypto";
import { copyFile, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { fillEntry } from "./cache.mjs";
import { run } from "./child.mjs";
import { findProblemOfGo, goLine } from "./go.mjs";

/** A slow single core needs about 15 minutes; a build that hangs must not hang for ever. */
const buildLimitMs = 45 * 60_000;
const versionVariable = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version";

const fileHere = (name) => fileURLToPath(new URL(name, import.meta.url));

/** Two modules, because the last language host on the module proxy is in an older sdk than the CLI needs. */
const modules = [
  { folder: fileHere("cli"), requires: "github.com/pulumi/pulumi/pkg/v3", what: "the Pulumi CLI" },
  {
    folder: fileHere("language-host"),
    requires: "github.com/pulumi/pulumi/sdk/v3",
    what: "its Node language host",
  },
];
const dynamicProviderScript = fileHere("language-host/pulumi-resource-pulumi-nodejs");

async function pinnedVersion({ folder, requires }) {
  const text = await readFile(join(folder, "go.mod"), "utf8");
  return new RegExp(`^\\s*(?:require )?${requires} v(\\S+)`, "m").exec(text)[1];
}

const flags = (version) => [
  "-trimpath",
  "-mod=readonly",
  "-buildvcs=false",
  `-ldflags=-s -w -X ${versionVariable}=v${version}`,
];

/** The cache key: the CLI's version and a checksum of all that goes into the build. */
export async function builtKey() {
  const hash = createHash("sha256");
  for (const { folder } of modules) {
    for (const name of ["go.mod", "go.sum"]) hash.update(await readFile(join(folder, name)));
  }
  hash.update(await readFile(dynamicProviderScript));
  const version = await pinnedVersion(modules[0]);
  hash.update(JSON.stringify([flags(version), process.platform, process.arch]));
  return `${version}-${hash.digest("hex").slice(0, 16)}`;
}

/** The oldest Go that builds it. */
export const wantedGo = () => goLine(join(modules[0].folder, "go.mod"));

/** Builds the CLI from the Go module proxy into the cache; a `problem` when that is not possible. */
export async function build({ env, signal, progress }) {
  const problem = await findProblemOfGo({ env, signal, wanted: await wantedGo() });
  if (problem) return { problem };
  const version = await pinnedVersion(modules[0]);
  try {
    const entry = await fillEntry(await builtKey(), { env, signal }, async ({ root, scratch }) => {
      const binDir = join(root, "bin");
      for (const module of modules) await buildModule({ module, binDir, scratch, env, signal, progress });
      await copyFile(dynamicProviderScript, join(binDir, "pulumi-resource-pulumi-nodejs"));
    });
    progress.done(`Built the Pulumi CLI ${version}; it is kept in ${entry.binDir}`);
    return entry;
  } catch (error) {
    signal?.throwIfAborted();
    progress.done("The Pulumi CLI could not be built");
    return { problem: error.message };
  }
}

async function buildModule({ module, binDir, scratch, env, signal, progress }) {
  const version = await pinnedVersion(module);
  progress.start(`Building ${module.what} ${version}`, "about 6 minutes in all, once");
  let fetched = 0;
  const { code, output, timedOut } = await run(
    "go",
    ["build", ...flags(version), "-o", `${binDir}/`, "tool"],
    {
      cwd: module.folder,
      // No C compiler and no workspace of the user's is needed, and what a cancelled build leaves goes with the folder.
      env: { ...env, CGO_ENABLED: "0", GOWORK: "off", GOTMPDIR: scratch },
      signal,
      timeoutMs: buildLimitMs,
      onLine: (line) => {
        if (line.startsWith("go: downloading ")) progress.detail(`${++fetched} modules fetched`);
      },
    },
  );
  if (timedOut) throw new Error(`go build was not finished after ${buildLimitMs / 60_000} minutes`);
  if (code !== 0) {
    const why = output.split("\n").filter((line) => line !== "" && !line.startsWith("go: downloading "));
    throw new Error(`go build of ${module.what} failed: ${why.slice(-3).join(" | ")}`);
  }
}
