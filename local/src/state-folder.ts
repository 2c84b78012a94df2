/**
 * The state folder: where it is, what is in it, and the two files that other programs read: `api-key` and
 * `endpoint.json`. Everything in it is for its owner only.
 */
import { randomBytes, randomUUID } from "node:crypto";
import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { z } from "zod";

/** `MACHINES_LOCAL_STATE`, else `$XDG_STATE_HOME/pulumi-machines/local`, else `~/.local/state/pulumi-machines/local`. */
export function defaultStateDir(env: NodeJS.ProcessEnv): string {
  if (env["MACHINES_LOCAL_STATE"]) return resolve(env["MACHINES_LOCAL_STATE"]);
  // The XDG rules say that a relative path is to be ignored.
  const given = env["XDG_STATE_HOME"];
  const base = given?.startsWith("/") ? given : join(homedir(), ".local", "state");
  return join(base, "pulumi-machines", "local");
}

export const statePaths = (stateDir: string) => ({
  endpoint: join(stateDir, "endpoint.json"),
  apiKey: join(stateDir, "api-key"),
  lock: join(stateDir, "lock.db"),
  holder: join(stateDir, "holder.json"),
  logDir: join(stateDir, "log"),
  log: join(stateDir, "log", "control-plane.log"),
});

/** How a running control plane is reached; written when it is ready, removed when it stops. */
export const endpointFile = z.looseObject({
  url: z.string(),
  dedalus: z.string(),
  nullspace: z.string(),
  apiKey: z.string(),
  pid: z.int(),
  startedAt: z.string(),
  version: z.string(),
});
export type Endpoint = z.infer<typeof endpointFile>;

/** Makes the folder and its log folder, for the owner only. */
export function prepareStateDir(stateDir: string): void {
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  chmodSync(stateDir, 0o700);
  mkdirSync(statePaths(stateDir).logDir, { recursive: true, mode: 0o700 });
}

/** Writes a file that nobody ever sees half written. */
export function writePrivateFile(path: string, text: string): void {
  const draft = `${path}.${randomUUID()}`;
  try {
    writeFileSync(draft, text, { mode: 0o600, flush: true });
    renameSync(draft, path);
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  }
}

/** The key of this state folder; made at random when there is none. */
export function keyOf(stateDir: string): string {
  const { apiKey } = statePaths(stateDir);
  const known = readIfThere(apiKey)?.trim();
  if (known) return known;
  const made = `local-${randomBytes(24).toString("base64url")}`;
  writePrivateFile(apiKey, `${made}\n`);
  return made;
}

export function writeEndpoint(stateDir: string, endpoint: Endpoint): void {
  writePrivateFile(statePaths(stateDir).endpoint, `${JSON.stringify(endpoint, undefined, 2)}\n`);
}

/** The endpoint file, or undefined where there is none that can be read. It may be left of a killed control plane. */
export function readEndpoint(stateDir: string): Endpoint | undefined {
  return parseFile(statePaths(stateDir).endpoint, endpointFile);
}

export function removeEndpoint(stateDir: string): void {
  rmSync(statePaths(stateDir).endpoint, { force: true });
}

const holderFile = z.looseObject({
  pid: z.int(),
  startedAt: z.string(),
  /** False when the control plane lives inside another program, which a signal would end as well. */
  ownProcess: z.boolean().optional(),
});
/** Who took the lock of the state folder last; it means something only while the lock is held. */
export type Holder = z.infer<typeof holderFile>;

export function writeHolder(stateDir: string, holder: Holder): void {
  writePrivateFile(statePaths(stateDir).holder, `${JSON.stringify(holder)}\n`);
}

export const readHolder = (stateDir: string): Holder | undefined =>
  parseFile(statePaths(stateDir).holder, holderFile);

function parseFile<T>(path: string, schema: z.ZodType<T>): T | undefined {
  const text = readIfThere(path);
  if (text === undefined) return undefined;
  try {
    return schema.safeParse(JSON.parse(text)).data;
  } catch {
    // Not JSON: as good as no file, and it is replaced at the next start.
    return undefined;
  }
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
