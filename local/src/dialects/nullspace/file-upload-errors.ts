/** Why an upload in parts was refused, with the status and the detail that the vendor's client tells apart. */
import { Refusal } from "../../engine/control-plane";
import { type UploadFailure, type UploadFailureReason, type WireError, wireError } from "./errors";

/** The pairs are ours, after those that the contract lists for volumes. */
const statuses: Record<UploadFailureReason, number> = {
  directory_extract_invalid_path: 400,
  directory_extract_invalid_symlink: 400,
  directory_extract_unsupported_entry: 400,
  insufficient_staging_space: 507,
  invalid_part_checksum: 400,
  missing_parts: 409,
  part_out_of_range: 400,
  part_size_mismatch: 400,
  size_limit_exceeded: 413,
  target_conflict: 409,
  upload_aborted: 409,
  upload_already_completed: 409,
  upload_expired: 410,
  whole_checksum_mismatch: 400,
};

export const uploadRefused = (
  reason: UploadFailureReason,
  message: string,
  more: Omit<UploadFailure, "reason"> & { cause?: unknown } = {},
): WireError => {
  const { cause, ...upload } = more;
  return wireError(statuses[reason], "file_upload_error", message, { upload: { reason, ...upload }, cause });
};

/** An archive that cannot be read has no reason of its own. */
const archiveFaults: Record<string, UploadFailureReason> = {
  invalid: "directory_extract_unsupported_entry",
  invalid_path: "directory_extract_invalid_path",
  invalid_symlink: "directory_extract_invalid_symlink",
  unsupported_entry: "directory_extract_unsupported_entry",
};

/** What publishing an upload failed with; other errors stay as they are. */
export function publishFailure(error: unknown, upload: Omit<UploadFailure, "reason">): unknown {
  if (!(error instanceof Refusal)) return error;
  if (error.code === "file_exists") {
    return uploadRefused("target_conflict", error.message, { ...upload, cause: error });
  }
  const { archive, member } = error.options.details ?? {};
  const reason = archive === undefined ? undefined : archiveFaults[archive];
  if (reason === undefined) return error;
  const details = member === undefined || member === "" ? {} : { details: { member } };
  return uploadRefused(reason, error.message, { ...upload, ...details, cause: error });
}
