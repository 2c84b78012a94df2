/** Uploads in parts: kept on disk, published as a whole, and gone with their machine or after a day. */
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import type { Readable } from "node:stream";
import type { ControlPlane, IdempotentRequest } from "../../engine/control-plane";
import type { NullspaceDeps } from "./deps";
import { WireError, wireError } from "./errors";
import { asUser, type CreateUpload, maxUploadBytes } from "./file-requests";
import { publishUpload } from "./file-publish";
import { Staging, type StoredSession } from "./file-staging";
import { otherBytes, partSize, requireAll, requireOpen, requireSpace } from "./file-upload-checks";
import { uploadRefused } from "./file-upload-errors";
import { maxConcurrency, UploadSession } from "./file-upload-session";
import { living } from "./transitions";

export const uploadLifetimeMs = 86_400_000;
const sweepMs = 60_000;

type Log = (error: unknown) => void;

export async function openUploads({ controlPlane, settings }: NullspaceDeps, log: Log): Promise<Uploads> {
  const uploads = new Uploads(controlPlane, new Staging(join(settings.stateDir, "uploads")), log);
  await uploads.load();
  return uploads;
}

export class Uploads {
  private readonly sessions = new Map<string, UploadSession>();
  /** Creates under way, by machine and key. */
  private readonly creating = new Map<string, Promise<UploadSession>>();
  private readonly closing = new AbortController();
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly controlPlane: ControlPlane,
    private readonly staging: Staging,
    private readonly log: Log,
    private readonly now: () => number = Date.now,
  ) {}

  async load(): Promise<void> {
    for (const { session, parts } of await this.staging.load()) {
      this.sessions.set(session.uploadId, new UploadSession(session, parts));
    }
    this.timer = setInterval(() => {
      this.sweep().catch(this.log);
    }, sweepMs).unref();
  }

  close(): void {
    clearInterval(this.timer);
    this.closing.abort(
      wireError(503, "file_error", "the control plane stops; complete the upload again afterwards", {
        retryable: true,
      }),
    );
  }

  /** @throws WireError 404 */
  async get(machineId: string, uploadId: string): Promise<UploadSession> {
    const session = this.sessions.get(uploadId);
    if (session?.stored.machineId !== machineId) {
      throw wireError(
        404,
        "not_found",
        `there is no upload ${JSON.stringify(uploadId.slice(0, 80))} of this machine`,
      );
    }
    await this.expire(session);
    return session;
  }

  /** The same key is the same session. @throws WireError, Refusal */
  async create(
    machineId: string,
    asked: CreateUpload,
    request: IdempotentRequest,
    signal: AbortSignal,
  ): Promise<UploadSession> {
    const name = `${machineId} ${request.key}`;
    const known =
      this.creating.get(name) ??
      [...this.sessions.values()].find(
        ({ stored }) => stored.machineId === machineId && stored.key.key === request.key,
      );
    if (known) {
      const session = await known;
      if (session.stored.key.requestHash === request.requestHash) return session;
      throw wireError(409, "conflict", "this Idempotency-Key was used for another upload: use a new one");
    }
    const made = this.make(machineId, asked, request, signal);
    this.creating.set(name, made);
    try {
      return await made;
    } finally {
      this.creating.delete(name);
    }
  }

  private async make(
    machineId: string,
    asked: CreateUpload,
    { key, requestHash }: IdempotentRequest,
    signal: AbortSignal,
  ): Promise<UploadSession> {
    const { target_path: path, content_length: length } = asked;
    if (length > maxUploadBytes) {
      throw uploadRefused(
        "size_limit_exceeded",
        `an upload can have at most ${String(maxUploadBytes)} bytes`,
        { path },
      );
    }
    await this.controlPlane.machines.use(machineId, "file", signal);
    if (
      asked.conflict === "error" &&
      (await this.controlPlane.files.exists(machineId, path, { signal, ...asUser(asked.user) }))
    ) {
      throw uploadRefused("target_conflict", `${JSON.stringify(path)} is there already`, { path });
    }
    const free = await this.staging.freeBytes();
    const now = this.now();
    const session = new UploadSession({
      ...{ uploadId: `upl_${randomUUID()}`, machineId, asked, key: { key, requestHash } },
      ...{ createdAt: now, updatedAt: now, expiresAt: now + uploadLifetimeMs, end: null },
    });
    // From here to the map nothing else runs: two creates cannot reserve the same space.
    requireSpace([...this.sessions.values()], { machineId, length, free });
    this.sessions.set(session.id, session);
    try {
      await this.staging.save(session.stored);
    } catch (error) {
      this.sessions.delete(session.id);
      await this.staging.remove(session.id);
      throw error;
    }
    return session;
  }

  /** @throws WireError */
  async putPart(
    session: UploadSession,
    part: number,
    content: () => Readable,
    checksum: string | undefined,
  ): Promise<void> {
    const about = { upload_id: session.id, part_number: part };
    requireOpen(session);
    if (session.writing >= 2 * maxConcurrency) {
      throw wireError(
        429,
        "rate_limit_exceeded",
        `more than ${String(session.writing)} parts at once; max_concurrency says how many`,
        {
          retryable: true,
          retryAfterMs: 500,
        },
      );
    }
    session.writing++;
    try {
      await this.staging.take(session.id, part, content(), ({ bytes, sha256 }) => {
        const expected = session.bytesOf(part);
        if (bytes !== expected) throw partSize(about, expected);
        if (checksum !== undefined && checksum.toLowerCase() !== sha256) {
          throw uploadRefused(
            "invalid_part_checksum",
            "the part came with other bytes than its checksum says: send it again",
            about,
          );
        }
        requireOpen(session);
      });
      requireOpen(session);
      session.parts.set(part, session.bytesOf(part));
      session.stored.updatedAt = this.now();
    } finally {
      session.writing--;
      // It may have come to its place after all were removed.
      if (session.stored.end) await this.staging.removeParts(session.id);
    }
  }

  /** Resolves when it is published. It goes on when nobody waits any more. @throws WireError, Refusal */
  async complete(
    session: UploadSession,
    key: string,
    checksum: string | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const { end, asked } = session.stored;
    if (end?.status === "completed" && end.key === key) return;
    if (session.completing?.key !== key) {
      requireOpen(session);
      const expected = checksum ?? asked.whole_checksum_sha256 ?? undefined;
      requireAll(session);
      if (expected?.toLowerCase() !== (asked.whole_checksum_sha256 ?? expected)?.toLowerCase())
        throw otherBytes(session);
      const done = this.publish(session, key, expected?.toLowerCase()).finally(() => {
        session.completing = undefined;
      });
      done.catch(() => undefined);
      session.completing = { key, done };
    }
    await endsBefore(session.completing.done, signal);
  }

  private async publish(session: UploadSession, key: string, checksum: string | undefined): Promise<void> {
    const { signal } = this.closing;
    const done = await publishUpload(this.controlPlane.files, this.staging, session, { checksum, signal });
    await this.end(session, { status: "completed", key, ...done, acceptedBytes: session.acceptedBytes });
  }

  /** Once aborted, it stays so. @throws WireError 409 */
  async abort(session: UploadSession): Promise<void> {
    if (session.status === "aborted" || session.status === "expired") return;
    requireOpen(session);
    await this.end(session, { status: "aborted", acceptedBytes: session.acceptedBytes });
  }

  private async end(session: UploadSession, end: NonNullable<StoredSession["end"]>): Promise<void> {
    session.stored.end = end;
    session.stored.updatedAt = this.now();
    await this.staging.save(session.stored);
    await this.staging.removeParts(session.id);
  }

  private async expire(session: UploadSession): Promise<void> {
    if (session.stored.end !== null || session.completing || this.now() < session.stored.expiresAt) return;
    await this.end(session, { status: "expired", acceptedBytes: session.acceptedBytes });
  }

  /** Forgets what ended a day ago, and what has lost its machine. */
  async sweep(): Promise<void> {
    for (const session of this.sessions.values()) {
      await this.expire(session);
      const { end, updatedAt, machineId } = session.stored;
      const isOld = end !== null && this.now() > updatedAt + uploadLifetimeMs;
      if (session.completing || !(isOld || (await this.isGone(machineId)))) continue;
      this.sessions.delete(session.id);
      await this.staging.remove(session.id);
    }
  }

  private async isGone(machineId: string): Promise<boolean> {
    try {
      await living(this.controlPlane, machineId);
      return false;
    } catch (error) {
      if (error instanceof WireError && error.status === 404) return true;
      throw error;
    }
  }
}

/** As the promise, or the signal's reason when that comes first. */
async function endsBefore(done: Promise<void>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  let abort = (): void => undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    abort = () => {
      reject(signal.reason as Error);
    };
    signal.addEventListener("abort", abort, { once: true });
  });
  await Promise.race([done, aborted]).finally(() => {
    signal.removeEventListener("abort", abort);
  });
}
