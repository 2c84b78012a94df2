/** One upload in parts: which are there, and what it is to the wire. */
import { maxUploadBytes } from "./file-requests";
import type { StoredSession } from "./file-staging";

export const partBytes = 8 * 1_048_576;
/** Parts of one upload that may be on their way at once, as the answer says; more are refused at twice that. */
export const maxConcurrency = 4;
/** Of all uploads to one machine that have not ended. */
export const machineStagingBytes = 64 * 1024 * 1_048_576;

export class UploadSession {
  /** Being written at the moment. */
  writing = 0;
  completing: { key: string; done: Promise<void> } | undefined;

  constructor(
    readonly stored: StoredSession,
    /** The bytes of each that is there whole, by its number, from 0. */
    readonly parts: Map<number, number> = new Map(),
  ) {}

  get id(): string {
    return this.stored.uploadId;
  }

  get partCount(): number {
    return Math.ceil(this.stored.asked.content_length / partBytes);
  }

  /** Of the part with this number. */
  bytesOf(part: number): number {
    return Math.min(partBytes, this.stored.asked.content_length - part * partBytes);
  }

  get acceptedBytes(): number {
    if (this.stored.end) return this.stored.end.acceptedBytes;
    return [...this.parts.values()].reduce((sum, bytes) => sum + bytes, 0);
  }

  /** Numbers that are not there; no more than `most`. */
  missing(most: number): number[] {
    const found: number[] = [];
    for (let part = 0; part < this.partCount && found.length < most; part++) {
      if (!this.parts.has(part)) found.push(part);
    }
    return found;
  }

  get status(): "created" | "uploading" | "staged" | "completing" | "completed" | "aborted" | "expired" {
    if (this.stored.end) return this.stored.end.status;
    if (this.completing) return "completing";
    if (this.parts.size === this.partCount) return "staged";
    return this.parts.size === 0 ? "created" : "uploading";
  }

  info() {
    const { asked, createdAt, updatedAt, expiresAt, end } = this.stored;
    const nextPart = end ? undefined : this.missing(1)[0];
    const { user, archive_format: format, whole_checksum_sha256: checksum } = asked;
    return {
      upload_id: this.id,
      kind: asked.kind,
      source_kind: asked.source_kind,
      target_path: asked.target_path,
      content_length: asked.content_length,
      accepted_bytes: this.acceptedBytes,
      reserved_staging_bytes: end ? 0 : asked.content_length,
      part_size: partBytes,
      part_count: this.partCount,
      max_concurrency: maxConcurrency,
      status: this.status,
      conflict: asked.conflict,
      checksum_algorithm: asked.checksum_algorithm,
      limits: {
        max_upload_bytes: maxUploadBytes,
        max_part_bytes: partBytes,
        max_concurrency: maxConcurrency,
        machine_staging_quota_bytes: machineStagingBytes,
      },
      created_at: new Date(createdAt).toISOString(),
      updated_at: new Date(updatedAt).toISOString(),
      expires_at: new Date(expiresAt).toISOString(),
      ...(user === undefined || user === null ? {} : { user }),
      ...(nextPart === undefined ? {} : { next_part: nextPart }),
      ...(format === undefined || format === null ? {} : { archive_format: format }),
      ...(checksum === undefined || checksum === null ? {} : { whole_checksum_sha256: checksum }),
    };
  }
}
