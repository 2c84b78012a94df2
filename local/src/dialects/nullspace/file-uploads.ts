/** Uploads in parts: kept on disk, published as a whole, and gone with their machine or after a day. */
import { createHash, randomUUID } from "node:crypto";
import { join } from "node:path";
import { Readable } from "node:stream";
import type { ControlPlane, IdempotentRequest } from "../../engine/control-plane";
import type { NullspaceDeps } from "./deps";
import { WireError, wireError } from "./errors";
import { asUser, type CreateUpload, maxUploadBytes } from "./file-requests";
import { Staging, type StoredSession } from "./file-staging";
import { publishFailure, uploadRefused } from "./file-upload-errors";
import { machineStagingBytes, maxConcurrency, UploadSession } from "./file-upload-session";
import { living } from "./transitions";

export const uploadLifetimeMs = 86_400_000;
const sweepMs = 60_000;
/** Of one machine, ended ones included. */
const maxSessions = 1000;
/** Of the host's disk, left for everything else. */
const keptFreeBytes = 256 * 1_048_576;
const maxNamedParts = 50;

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
    this.reserve(machineId, length, free);
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

  /** @throws WireError 507 */
  private reserve(machineId: string, length: number, free: number): void {
    const all = [...this.sessions.values()];
    const own = all.filter(({ stored }) => stored.machineId === machineId);
    const open = (sessions: UploadSession[]): UploadSession[] =>
      sessions.filter(({ stored }) => stored.end === null);
    const sum = (sessions: UploadSession[], bytes: (session: UploadSession) => number): number =>
      open(sessions).reduce((total, session) => total + bytes(session), 0);
    const reserved = sum(own, ({ stored }) => stored.asked.content_length);
    const promised = sum(all, ({ stored, acceptedBytes }) => stored.asked.content_length - acceptedBytes);
    const why =
      own.length >= maxSessions
        ? `this machine has ${String(maxSessions)} uploads of the last day`
        : reserved + length > machineStagingBytes
          ? `the uploads to this machine would hold more than ${String(machineStagingBytes)} bytes at once`
          : promised + length > free - keptFreeBytes
            ? "the control plane's disk has too little space"
            : undefined;
    if (why === undefined) return;
    throw uploadRefused(
      "insufficient_staging_space",
      `${why}: complete or abort other uploads, or try again later`,
    );
  }

  /** @throws WireError */
  async putPart(
    session: UploadSession,
    part: number,
    content: () => Readable,
    checksum: string | undefined,
  ): Promise<void> {
    const about = { upload_id: session.id, part_number: part };
    this.requireOpen(session);
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
        this.requireOpen(session);
      });
      this.requireOpen(session);
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
      this.requireOpen(session);
      const expected = checksum ?? asked.whole_checksum_sha256 ?? undefined;
      this.requireAll(session);
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

  private requireAll(session: UploadSession): void {
    const missing = session.missing(maxNamedParts);
    if (missing.length === 0) return;
    const left = session.partCount - session.parts.size;
    throw uploadRefused("missing_parts", `${String(left)} parts are missing: send them, then complete it`, {
      upload_id: session.id,
      details: { missing_parts: missing },
    });
  }

  private async publish(session: UploadSession, key: string, checksum: string | undefined): Promise<void> {
    const { machineId, asked } = session.stored;
    const path = asked.target_path;
    const options = { signal: this.closing.signal, ...asUser(asked.user) };
    const content = Readable.from(this.whole(session, checksum), {
      objectMode: false,
      highWaterMark: 262_144,
    });
    const { files } = this.controlPlane;
    try {
      const done =
        asked.kind === "file"
          ? {
              files: 1,
              bytes: (
                await files.write(machineId, path, content, {
                  ...options,
                  exclusive: asked.conflict === "error",
                })
              ).size,
            }
          : await files.unpack(machineId, path, content, { ...options, conflict: asked.conflict });
      await this.end(session, { status: "completed", key, ...done, acceptedBytes: session.acceptedBytes });
    } catch (error) {
      throw publishFailure(error, { upload_id: session.id, path });
    } finally {
      content.destroy();
    }
  }

  /** The content, which fails at its end when it is not what the checksum says: nothing is published then. */
  private async *whole(session: UploadSession, checksum: string | undefined): AsyncGenerator<Buffer, void> {
    const hash = createHash("sha256");
    for (let part = 0; part < session.partCount; part++) {
      for await (const chunk of this.staging.readPart(session.id, part) as AsyncIterable<Buffer>) {
        hash.update(chunk);
        yield chunk;
      }
    }
    if (checksum !== undefined && hash.digest("hex") !== checksum) throw otherBytes(session);
  }

  /** Once aborted, it stays so. @throws WireError 409 */
  async abort(session: UploadSession): Promise<void> {
    if (session.status === "aborted" || session.status === "expired") return;
    this.requireOpen(session);
    await this.end(session, { status: "aborted", acceptedBytes: session.acceptedBytes });
  }

  private requireOpen(session: UploadSession): void {
    const about = { upload_id: session.id };
    switch (session.status) {
      case "completed":
        throw uploadRefused("upload_already_completed", "this upload is completed", about);
      case "aborted":
        throw uploadRefused("upload_aborted", "this upload was aborted: begin a new one", about);
      case "expired":
        throw uploadRefused(
          "upload_expired",
          "this upload was left for a day and has expired: begin a new one",
          about,
        );
      case "completing":
        throw wireError(409, "transition_in_progress", "this upload is being completed", {
          retryable: true,
          retryAfterMs: 1000,
        });
      default:
    }
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

export const partSize = (about: { upload_id: string; part_number: number }, expected: number): WireError =>
  uploadRefused(
    "part_size_mismatch",
    `part ${String(about.part_number)} must have ${String(expected)} bytes`,
    about,
  );

const otherBytes = (session: UploadSession): WireError =>
  uploadRefused("whole_checksum_mismatch", "the parts together are not what the checksum of the whole says", {
    upload_id: session.id,
    path: session.stored.asked.target_path,
  });

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
