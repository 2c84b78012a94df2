/** What requests about files may ask; the bounds are ours. */
import { z } from "zod";

const mebibyte = 1_048_576;
/** Of content inside JSON, which is held in memory. More goes and comes as plain bytes (`/file`), or in parts. */
export const maxJsonContentBytes = 32 * mebibyte;
/** Base64 adds a third, escapes may add more. */
export const maxWriteBodyBytes = 64 * mebibyte;
/** Of one file or archive, however it is sent. */
export const maxUploadBytes = 32 * 1024 * mebibyte;
/** Files of one batch, or of one replace. */
export const maxFilesAtOnce = 1000;

/** The vendor's client sends null where no account is asked for. */
const user = z.string().nullish();
const path = z.string();
const encoding = z.enum(["utf8", "base64"]).nullish();

export const pathRequest = z.strictObject({ path, user });
export const renameRequest = z.strictObject({ old_path: path, new_path: path, user });
export const permissionsRequest = z.strictObject({ path, permissions: z.string(), user });
export const patternRequest = z.strictObject({ path, pattern: z.string(), user });
export const readRequest = z.strictObject({ path, encoding, user });
export const writeRequest = z.strictObject({ path, content: z.string(), encoding, user });
export const replaceRequest = z.strictObject({
  files: z.array(path).max(maxFilesAtOnce),
  pattern: z.string(),
  replacement: z.string(),
  /** Sent by the vendor's client, and not in the contract. */
  dry_run: z.boolean().nullish(),
  user,
});
export const downloadUrlRequest = z.strictObject({
  path,
  user,
  /** As `dry_run`. */
  archive_format: z.string().nullish(),
});

export const manifestRequest = z.strictObject({
  files: z.array(z.strictObject({ path, field: z.string().min(1) })).max(maxFilesAtOnce),
  user,
});

export const createUploadRequest = z.strictObject({
  kind: z.enum(["directory_tar", "file"]),
  source_kind: z.enum(["directory_archive", "restartable_file", "spooled_stream"]),
  target_path: path.min(1),
  content_length: z.int().nonnegative(),
  conflict: z.enum(["error", "merge", "replace"]),
  checksum_algorithm: z.literal("sha256"),
  user,
  archive_format: z.literal("tar").nullish(),
  whole_checksum_sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/i, "must be 64 hexadecimal digits")
    .nullish(),
  metadata: z.record(z.string(), z.unknown()).nullish(),
});
export type CreateUpload = z.infer<typeof createUploadRequest>;

export const completeUploadRequest = createUploadRequest.pick({ whole_checksum_sha256: true });

/** Such as is given to the engine: absent where none is asked for. */
export const asUser = (given: string | null | undefined): { user?: string } =>
  given === undefined || given === null ? {} : { user: given };
