/**
 * Where the parts of uploads wait for their end: `<state>/uploads/<upload id>/`, a `session.json` and a file for each part
 * that has come whole. All of it survives a stop and a crash.
 */
import { createHash, randomUUID } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, readdir, readFile, rename, rm, stat, statfs, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { z } from "zod";
import { createUploadRequest } from "./file-requests";

export const storedSession = z.object({
  uploadId: z.string(),
  /** The engine's. */
  machineId: z.string(),
  asked: createUploadRequest,
  /** Of the create: the same key is the same session. */
  key: z.object({ key: z.string(), requestHash: z.string() }),
  /** Milliseconds. */
  createdAt: z.number(),
  updatedAt: z.number(),
  expiresAt: z.number(),
  end: z
    .discriminatedUnion("status", [
      z.object({
        status: z.literal("completed"),
        key: z.string(),
        bytes: z.number(),
        files: z.number(),
        acceptedBytes: z.number(),
      }),
      z.object({ status: z.literal("aborted"), acceptedBytes: z.number() }),
      z.object({ status: z.literal("expired"), acceptedBytes: z.number() }),
    ])
    .nullable(),
});
export type StoredSession = z.infer<typeof storedSession>;

const record = "session.json";
const partName = /^part-(\d{1,6})$/;

export class Staging {
  constructor(private readonly folder: string) {}

  /** What was there before; what cannot be read is removed. */
  async load(): Promise<{ session: StoredSession; parts: Map<number, number> }[]> {
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
    const names = await readdir(this.folder);
    const found = await Promise.all(names.map(async (name) => this.loadOne(name)));
    return found.filter((one) => one !== undefined);
  }

  async save(session: StoredSession): Promise<void> {
    const folder = join(this.folder, session.uploadId);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const draft = join(folder, `draft-${randomUUID()}`);
    await writeFile(draft, JSON.stringify(session), { mode: 0o600, flush: true });
    await rename(draft, join(folder, record));
  }

  /** Takes a part to a file of its own; `accept` is asked before it counts. The length that came, and its checksum. */
  async take(
    uploadId: string,
    part: number,
    content: Readable,
    accept: (came: { bytes: number; sha256: string }) => void,
  ): Promise<void> {
    const draft = join(this.folder, uploadId, `draft-${randomUUID()}`);
    const hash = createHash("sha256");
    let bytes = 0;
    try {
      await pipeline(
        content,
        async function* (chunks: AsyncIterable<Buffer>) {
          for await (const chunk of chunks) {
            hash.update(chunk);
            bytes += chunk.length;
            yield chunk;
          }
        },
        createWriteStream(draft, { mode: 0o600 }),
      );
      accept({ bytes, sha256: hash.digest("hex") });
      await rename(draft, this.partOf(uploadId, part));
    } catch (error) {
      await rm(draft, { force: true });
      throw error;
    }
  }

  readPart(uploadId: string, part: number): Readable {
    return createReadStream(this.partOf(uploadId, part), { highWaterMark: 262_144 });
  }

  /** Only what says how it ended stays. */
  async removeParts(uploadId: string): Promise<void> {
    const folder = join(this.folder, uploadId);
    const names = await readdir(folder).catch(() => []);
    await Promise.all(
      names.filter((name) => name !== record).map(async (name) => rm(join(folder, name), { force: true })),
    );
  }

  async remove(uploadId: string): Promise<void> {
    await rm(join(this.folder, uploadId), { recursive: true, force: true });
  }

  async freeBytes(): Promise<number> {
    const { bavail, bsize } = await statfs(this.folder);
    return bavail * bsize;
  }

  private partOf(uploadId: string, part: number): string {
    return join(this.folder, uploadId, `part-${String(part)}`);
  }

  private async loadOne(
    name: string,
  ): Promise<{ session: StoredSession; parts: Map<number, number> } | undefined> {
    const folder = join(this.folder, name);
    try {
      const session = storedSession.parse(JSON.parse(await readFile(join(folder, record), "utf8")));
      const parts = new Map<number, number>();
      for (const file of await readdir(folder)) {
        const part = partName.exec(file)?.[1];
        if (part !== undefined) parts.set(Number(part), (await stat(join(folder, file))).size);
        else if (file !== record) await rm(join(folder, file), { force: true });
      }
      return { session, parts };
    } catch {
      // Cut off while it was made: nobody was told of it.
      await rm(folder, { recursive: true, force: true });
      return undefined;
    }
  }
}
