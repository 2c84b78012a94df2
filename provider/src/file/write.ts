/** Puts the content into the machine. */
import { readFileSync } from "node:fs";
import type { Context } from "../context";
import { RefusedError } from "../controlplane/port";
import { awaken } from "../command/awaken";
import { patiently } from "../patience";
import { foldersOf, removeFiles, tarOf, unpack, type Files } from "./archive";
import type { FileInputs } from "./args";
import { fileHash } from "./hash";
import type { Written } from "./state";

/** What an earlier write has left. */
export interface Before {
  /** Of an archive. */
  files: Files;
  hasMode: boolean;
}

/** Of new files in a machine. */
const usualMode = "0644";

export async function write(
  context: Context,
  inputs: FileInputs,
  hash: string,
  before: Before,
): Promise<Written> {
  const { machineId, path, content } = inputs;
  if (content.kind === "archive") {
    const { tar, files, size, hash: packed } = await tarOf(content.entries);
    mustBe(packed, hash, path);
    const gone = Object.keys(before.files).filter((name) => !(name in files));
    // Where a folder becomes a file, no tar makes room for it.
    const inTheWay = gone.filter((name) => foldersOf(name).some((folder) => folder in files));
    await whileAwake(context, machineId, async () => {
      await removeFiles(context, machineId, path, inTheWay);
      await unpack(context, machineId, path, tar);
      const rest = gone.filter((name) => !inTheWay.includes(name));
      await removeFiles(context, machineId, path, rest);
    });
    return { size, files };
  }
  const bytes = content.kind === "text" ? Buffer.from(content.text) : readFileSync(content.path);
  mustBe(fileHash(bytes), hash, path);
  // A file keeps its mode when it is written anew: one that the program has taken away is to go.
  const asked = inputs.mode ?? (before.hasMode ? usualMode : undefined);
  const mode = asked === undefined ? {} : { mode: parseInt(asked, 8) };
  const { signal } = context;
  await whileAwake(context, machineId, async () => {
    await removeFiles(context, machineId, path, Object.keys(before.files));
    await context.controlPlane.files.write(machineId, path, bytes, { signal, ...mode });
  });
  return { size: bytes.length };
}

/** What is written is what the preview has shown. */
function mustBe(found: string, wanted: string, path: string): void {
  if (found === wanted) return;
  throw new Error(`what is to be put at ${path} has changed while it was deployed: run "pulumi up" again`);
}

/** Writing the same again is safe, so that passing refusals are waited out; a sleeping machine is woken. */
export async function whileAwake<T>(context: Context, machineId: string, work: () => Promise<T>): Promise<T> {
  try {
    return await patiently(context, work);
  } catch (error) {
    if (!(error instanceof RefusedError) || error.code !== "INVALID_STATE") throw error;
    await awaken(context, machineId);
    return patiently(context, work);
  }
}
