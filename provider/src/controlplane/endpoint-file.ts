/** Finds the embedded control plane that runs on this computer, by the file that it writes. */
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { z } from "zod";
import { userStateFolder } from "../create-journal";

export const startHint = "Start one with: npx machines-local start --detach";

const endpointSchema = z.looseObject({
  url: z.string(),
  dedalus: z.string(),
  nullspace: z.string(),
  apiKey: z.string(),
  pid: z.number().optional(),
});
export type LocalEndpoint = z.infer<typeof endpointSchema>;

/** No embedded control plane can be used; the message says how to start one. */
export class NoLocalControlPlaneError extends Error {
  override readonly name = "NoLocalControlPlaneError";
}

/** `MACHINES_LOCAL_STATE`, else `local` in the user's state folder. */
export const localStateFolder = (env: NodeJS.ProcessEnv): string =>
  env.MACHINES_LOCAL_STATE ? resolve(env.MACHINES_LOCAL_STATE) : join(userStateFolder(env), "local");

/** @throws NoLocalControlPlaneError when none runs. */
export function readEndpointFile(env: NodeJS.ProcessEnv): LocalEndpoint {
  const file = join(localStateFolder(env), "endpoint.json");
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ENOTDIR") throw noneRuns("no embedded control plane runs", file);
    throw new NoLocalControlPlaneError(
      `the endpoint file ${file} cannot be read: ${(error as Error).message}`,
    );
  }
  const parsed = endpointSchema.safeParse(parseJson(text));
  if (!parsed.success) throw noneRuns("the endpoint file is not one of this version", file);
  if (parsed.data.pid !== undefined && !isAlive(parsed.data.pid)) {
    throw noneRuns(`the embedded control plane (process ${String(parsed.data.pid)}) has ended`, file);
  }
  return parsed.data;
}

const noneRuns = (what: string, file: string): NoLocalControlPlaneError =>
  new NoLocalControlPlaneError(
    `${what} (looked at ${file}). ${startHint}, or choose another backend with: pulumi config set machines:backend dedalus`,
  );

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Another user's process is alive, too.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
