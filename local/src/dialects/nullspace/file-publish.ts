/** The parts of an upload as one content, written to the machine: all of it or nothing. */
import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import type { Files } from "../../engine/files/api";
import { asUser } from "./file-requests";
import type { Staging } from "./file-staging";
import { otherBytes } from "./file-upload-checks";
import { publishFailure } from "./file-upload-errors";
import type { UploadSession } from "./file-upload-session";

export interface Publishing {
  /** SHA-256 of the whole, in lower-case hex. */
  checksum: string | undefined;
  signal: AbortSignal;
}

/** @throws WireError, Refusal */
export async function publishUpload(
  files: Files,
  staging: Staging,
  session: UploadSession,
  { checksum, signal }: Publishing,
): Promise<{ files: number; bytes: number }> {
  const { machineId, asked } = session.stored;
  const { target_path: path, conflict } = asked;
  const options = { signal, ...asUser(asked.user) };
  const content = Readable.from(whole(staging, session, checksum), {
    objectMode: false,
    highWaterMark: 262_144,
  });
  try {
    if (asked.kind === "directory_tar") {
      return await files.unpack(machineId, path, content, { ...options, conflict });
    }
    const exclusive = conflict === "error";
    const { size } = await files.write(machineId, path, content, { ...options, exclusive });
    return { files: 1, bytes: size };
  } catch (error) {
    throw publishFailure(error, { upload_id: session.id, path });
  } finally {
    content.destroy();
  }
}

/** Fails at its end when it is not what the checksum says: nothing is published then. */
async function* whole(
  staging: Staging,
  session: UploadSession,
  checksum: string | undefined,
): AsyncGenerator<Buffer, void> {
  const hash = createHash("sha256");
  for (let part = 0; part < session.partCount; part++) {
    for await (const chunk of staging.readPart(session.id, part) as AsyncIterable<Buffer>) {
      hash.update(chunk);
      yield chunk;
    }
  }
  if (checksum !== undefined && hash.digest("hex") !== checksum) throw otherBytes(session);
}
