/** Hashes of files, as `sha256sum` in a machine tells them too. Pure. */
import { createHash } from "node:crypto";

export const fileHash = (content: Uint8Array): string => createHash("sha256").update(content).digest("hex");

export const isExecutable = (mode: number): boolean => (mode & 0o111) !== 0;

export interface ArchiveFile {
  name: string;
  hash: string;
  /** Anybody may run it. */
  executable: boolean;
}

/** Of an archive: of its names, in their order, their hashes, and which of them are programs. */
export function archiveHash(files: readonly ArchiveFile[]): string {
  const sorted = [...files].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  const parts = sorted.map(({ name, hash, executable }) => [name, hash, executable]);
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex");
}
