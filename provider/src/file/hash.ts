/** Hashes of files, as `sha256sum` in a machine tells them too. Pure. */
import { createHash } from "node:crypto";

export const fileHash = (content: Uint8Array): string => createHash("sha256").update(content).digest("hex");

/** Of an archive: of its names and their hashes, in the order of the names. */
export function archiveHash(files: readonly (readonly [name: string, hash: string])[]): string {
  const sorted = [...files].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return createHash("sha256").update(JSON.stringify(sorted)).digest("hex");
}
