/** A project's node_modules with the oldest @pulumi/pulumi that the provider supports, installed once for a user. */
import { execFileSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { repository } from "./stack";

export const oldestVersion = "3.139.0";

/** The folder with its node_modules; outside the work tree, so that Node never finds the repository's own from there. */
function installedSdk(): string {
  const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "pulumi-machines");
  const folder = join(cache, `pulumi-sdk-${oldestVersion}`);
  if (existsSync(join(folder, "node_modules", "@pulumi", "pulumi", "package.json"))) return folder;
  mkdirSync(cache, { recursive: true });
  const draft = mkdtempSync(join(cache, "pulumi-sdk-"));
  try {
    writeFileSync(join(draft, "package.json"), '{ "private": true }');
    const args = [
      "install",
      "--no-audit",
      "--no-fund",
      "--ignore-scripts",
      `@pulumi/pulumi@${oldestVersion}`,
    ];
    execFileSync("npm", args, { cwd: draft, stdio: ["ignore", "ignore", "inherit"] });
    rmSync(folder, { recursive: true, force: true });
    renameSync(draft, folder);
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
  return folder;
}

/** What our packages ask for from others. */
function dependencies(): string[] {
  const names = ["provider", "sdk"].flatMap((folder) => {
    const text = readFileSync(join(repository, folder, "package.json"), "utf8");
    return Object.keys((JSON.parse(text) as { dependencies: Record<string, string> }).dependencies);
  });
  return [...new Set(names)].filter((name) => !name.startsWith("@pulumi-machines/"));
}

/** Our packages as they are published: copies, so that what they require is found from the project. */
export function linkOldestSdk(project: string): void {
  const modules = join(project, "node_modules");
  const link = (from: string, name: string): void => {
    mkdirSync(dirname(join(modules, name)), { recursive: true });
    symlinkSync(from, join(modules, name));
  };
  const from = join(installedSdk(), "node_modules");
  for (const name of readdirSync(from)) if (!name.startsWith(".")) link(join(from, name), name);
  for (const name of dependencies()) {
    rmSync(join(modules, name), { force: true });
    link(join(repository, "node_modules", name), name);
  }
  for (const [folder, name] of [
    ["provider", "pulumi-machines"],
    ["sdk", "@pulumi-machines/sdk"],
  ] as const) {
    for (const part of ["dist", "package.json"]) {
      cpSync(join(repository, folder, part), join(modules, name, part), { recursive: true });
    }
  }
}
