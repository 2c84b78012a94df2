/** What the files of an archive hold, read one after the other from where they lie on this computer. */
import { readFile, stat } from "node:fs/promises";
import type { Source } from "./args";
import { fileHash, isExecutable, type ArchiveFile } from "./hash";
import { unpacked, type PackedFile } from "./packed";

export type Entry = Extract<Source, { kind: "archive" }>["entries"][number];

export interface EntryContent {
  name: string;
  content: Buffer;
  mode: number;
  hashed: ArchiveFile;
}

export async function* contentsOf(entries: readonly Entry[]): AsyncGenerator<EntryContent, void> {
  const archives = new Map<string, Map<string, PackedFile>>();
  for (const entry of entries) {
    const { content, mode } = await contentOf(entry, archives);
    const hashed = { name: entry.name, hash: fileHash(content), executable: isExecutable(mode) };
    yield { name: entry.name, content, mode, hashed };
  }
}

async function contentOf(
  entry: Entry,
  archives: Map<string, Map<string, PackedFile>>,
): Promise<Pick<PackedFile, "content" | "mode">> {
  if ("text" in entry) return { content: Buffer.from(entry.text), mode: 0o644 };
  if (!("member" in entry)) {
    return { content: await readFile(entry.path), mode: (await stat(entry.path)).mode & 0o777 };
  }
  let archive = archives.get(entry.path);
  if (!archive) {
    archive = new Map((await unpacked(entry.path)).map((file) => [file.member, file]));
    archives.set(entry.path, archive);
  }
  const file = archive.get(entry.member);
  if (!file) throw new Error(`"${entry.member}" is not in "${entry.path}" any more: run "pulumi up" again`);
  return file;
}
