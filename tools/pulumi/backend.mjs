import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";

/**
 * Whether the user has chosen a backend, as the CLI looks for one: PULUMI_BACKEND_URL, the project's own
 * `backend.url`, a current login; and an access token, with which the CLI logs in by itself. Resolves with
 * `{ url?, from }`, or undefined when nothing was chosen.
 */
export async function findUsersBackend({ env, cwd }) {
  if (env.PULUMI_BACKEND_URL) return { url: env.PULUMI_BACKEND_URL, from: "PULUMI_BACKEND_URL" };
  if (env.PULUMI_ACCESS_TOKEN) return { from: "PULUMI_ACCESS_TOKEN" };
  const project = await findProjectFile(cwd);
  const ofProject = project && backendOfProject(project.text);
  if (ofProject) return { url: ofProject, from: project.file };
  const credentials = join(
    env.PULUMI_CREDENTIALS_PATH || env.PULUMI_HOME || join(env.HOME || homedir(), ".pulumi"),
    "credentials.json",
  );
  const login = currentLogin(await readIfThere(credentials));
  return login && { url: login, from: credentials };
}

/** The project's folder: where the CLI is told to work with `-C` or `--cwd`, else `cwd`. */
export function projectFolder(args, cwd) {
  for (const [index, arg] of args.entries()) {
    if (arg === "--") break;
    const match = /^(?:--cwd=|-C=?)(.+)$/s.exec(arg);
    if (match) return resolve(cwd, match[1]);
    if ((arg === "-C" || arg === "--cwd") && args[index + 1]) return resolve(cwd, args[index + 1]);
  }
  return cwd;
}

/**
 * The `backend.url` of a Pulumi.yaml. Only the plain two forms are read (a block and `{ url: ... }`), which are the ones
 * that `pulumi` writes and documents.
 */
export function backendOfProject(text) {
  if (text.trimStart().startsWith("{")) return parsed(text)?.backend?.url;
  const block = /^backend:[ \t]*(?:#.*)?\r?\n((?:[ \t]+.*\r?\n?|[ \t]*\r?\n)+)/m.exec(text)?.[1];
  const inline = /^backend:[ \t]*\{(.*)\}/m.exec(text)?.[1];
  const url = /(?:^|[\s,{])["']?url["']?:[ \t]*(?:"([^"]*)"|'([^']*)'|([^\s,}#]+))/m.exec(
    block ?? inline ?? "",
  );
  return url ? url.slice(1).find((each) => each !== undefined) || undefined : undefined;
}

/** The `current` of a credentials.json; a file that cannot be read as one is the CLI's to complain about. */
export function currentLogin(text) {
  if (text === undefined) return undefined;
  const credentials = parsed(text);
  // Whatever is in a broken one, it is the user's: leave the backend alone and let the CLI say what is wrong.
  return credentials ? credentials.current || undefined : "unreadable";
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    // The CLI reads the same file and reports it better.
    return undefined;
  }
}

async function findProjectFile(cwd) {
  for (let folder = resolve(cwd); ; folder = dirname(folder)) {
    for (const name of ["Pulumi.yaml", "Pulumi.yml", "Pulumi.json"]) {
      const file = join(folder, name);
      const text = await readIfThere(file);
      if (text !== undefined) return { file, text };
    }
    if (folder === dirname(folder)) return undefined;
  }
}

async function readIfThere(file) {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    if (error.code === "ENOENT" || error.code === "ENOTDIR") return undefined;
    throw error;
  }
}
