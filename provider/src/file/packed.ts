/** Archives that are files of this computer: what is in them, as if they were folders. */
import { basename, posix } from "node:path";
import { list, type ReadEntry } from "tar";

export interface PackedFile {
  /** As the archive names it, from its top. */
  member: string;
  content: Buffer;
  mode: number;
}

/** By their names, as Pulumi tells archives apart. */
export const isPacked = (path: string): boolean => /\.(tar|tar\.gz|tgz)$/i.test(path);

/** The files in a tar, packed further or not, in its order. @throws Error in words */
export async function unpacked(path: string): Promise<PackedFile[]> {
  const found = new Map<string, PackedFile>();
  const odd: string[] = [];
  const onReadEntry = (entry: ReadEntry): void => {
    const member = posix.normalize(entry.path);
    if (entry.type === "Directory") return void entry.resume();
    if (!plain.includes(entry.type)) {
      odd.push(member);
      return void entry.resume();
    }
    const chunks: Buffer[] = [];
    entry.on("data", (chunk: Buffer) => chunks.push(chunk));
    entry.on("end", () => {
      // What comes later in a tar takes the place of what came before.
      found.set(member, { member, content: Buffer.concat(chunks), mode: readable(entry.mode) });
    });
  };
  try {
    await list({ file: path, strict: true, onReadEntry });
  } catch (error) {
    throw new Error(`"${path}" cannot be read as a tar: ${(error as Error).message}`, { cause: error });
  }
  const [first] = odd;
  if (first !== undefined) {
    throw new Error(
      `"${first}" in "${basename(path)}" is neither a file nor a folder: leave it out of the archive`,
    );
  }
  return [...found.values()];
}

/** As tar calls what is a file with nothing special. */
const plain: readonly string[] = ["File", "OldFile", "ContiguousFile"];

/** It is read again when it is packed anew. */
const readable = (mode = 0o644): number => (mode & 0o777) | 0o400;
