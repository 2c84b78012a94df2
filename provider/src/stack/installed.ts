/** Which versions are installed where. */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { readEndpointFile } from "../controlplane/endpoint-file";
import { schemaVersion } from "../machine/state";
import { projectOf } from "./project";
import type { PulumiCli } from "./pulumi-cli";
import type { StackState } from "./stack-state";
import type { Versions } from "./versions";

interface Where {
  cli: PulumiCli;
  state: StackState;
  cwd: string;
  env: NodeJS.ProcessEnv;
  /** True where the embedded control plane of this computer is used, by its endpoint file. */
  byEndpointFile: boolean;
}

export async function versionsOf({ cli, state, cwd, env, byEndpointFile }: Where): Promise<Versions> {
  const { folders } = projectOf(cwd);
  const [version, node] = await Promise.all([cli.version(), nodeVersion(cwd, env)]);
  const plane = byEndpointFile ? planeVersion(env) : undefined;
  const forms = state.entries
    .filter(({ noun }) => noun === "machine")
    .map(({ outputs }) => (typeof outputs.schemaVersion === "number" ? outputs.schemaVersion : 0));
  return {
    node,
    cli: version,
    sdk: packageVersion("@pulumi/pulumi", folders),
    provider: packageVersion("pulumi-machines", folders),
    own: versionIn(join(__dirname, "..", "..", "package.json")) ?? "unknown",
    schema: { has: Math.max(0, ...forms), knows: schemaVersion },
    ...(state.writtenBy === undefined ? {} : { writtenBy: state.writtenBy }),
    ...(plane === undefined ? {} : { plane }),
  };
}

function packageVersion(name: string, folders: readonly string[]): string | undefined {
  for (const folder of folders) {
    try {
      return versionIn(createRequire(join(folder, "program.js")).resolve(`${name}/package.json`));
    } catch {
      // Not from this folder.
    }
  }
  return undefined;
}

function versionIn(file: string): string | undefined {
  const { version } = JSON.parse(readFileSync(file, "utf8")) as { version?: unknown };
  return typeof version === "string" ? version : undefined;
}

function planeVersion(env: NodeJS.ProcessEnv): string | undefined {
  try {
    const { version } = readEndpointFile(env);
    return typeof version === "string" ? version : undefined;
  } catch {
    return undefined; // None runs: opening it has said so.
  }
}

const nodeVersion = (cwd: string, env: NodeJS.ProcessEnv): Promise<string | undefined> =>
  new Promise((done) => {
    execFile("node", ["--version"], { cwd, env, encoding: "utf8" }, (error, stdout) =>
      done(error ? undefined : stdout.trim().replace(/^v/, "")),
    );
  });
