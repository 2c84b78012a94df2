/** What an upload in parts must be before something is done with it. */
import { type WireError, wireError } from "./errors";
import { uploadRefused } from "./file-upload-errors";
import { machineStagingBytes, type UploadSession } from "./file-upload-session";

/** Of one machine, ended ones included. */
const maxSessions = 1000;
/** Of the host's disk, left for everything else. */
const keptFreeBytes = 256 * 1_048_576;
const maxNamedParts = 50;

interface Space {
  machineId: string;
  /** Bytes of the new upload. */
  length: number;
  /** Bytes of the disk. */
  free: number;
}

/** @throws WireError 507 */
export function requireSpace(all: UploadSession[], { machineId, length, free }: Space): void {
  const own = all.filter(({ stored }) => stored.machineId === machineId);
  const sum = (sessions: UploadSession[], bytes: (session: UploadSession) => number): number =>
    sessions
      .filter(({ stored }) => stored.end === null)
      .reduce((total, session) => total + bytes(session), 0);
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

/** @throws WireError 409, 410 */
export function requireOpen(session: UploadSession): void {
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

/** @throws WireError 409 */
export function requireAll(session: UploadSession): void {
  const missing = session.missing(maxNamedParts);
  if (missing.length === 0) return;
  const left = session.partCount - session.parts.size;
  throw uploadRefused("missing_parts", `${String(left)} parts are missing: send them, then complete it`, {
    upload_id: session.id,
    details: { missing_parts: missing },
  });
}

export const partSize = (about: { upload_id: string; part_number: number }, expected: number): WireError =>
  uploadRefused(
    "part_size_mismatch",
    `part ${String(about.part_number)} must have ${String(expected)} bytes`,
    about,
  );

export const otherBytes = (session: UploadSession): WireError =>
  uploadRefused("whole_checksum_mismatch", "the parts together are not what the checksum of the whole says", {
    upload_id: session.id,
    path: session.stored.asked.target_path,
  });
