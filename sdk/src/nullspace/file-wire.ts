/** Answers about files, with the renaming to our names. Pure. */
import { z } from "zod";
import type { Open } from "../open";

const optionalText = z
  .string()
  .nullish()
  .transform((value) => value ?? undefined);

export interface FileInfo {
  name: string;
  /** Absolute. */
  path: string;
  isDir: boolean;
  /** Bytes. */
  size: number;
  type: Open<"file" | "dir" | "symlink">;
  /** Such as `0644`. */
  mode?: string | undefined;
  /** Such as `rw-r--r--`. */
  permissions?: string | undefined;
  owner?: string | undefined;
  group?: string | undefined;
  /** ISO 8601. */
  modifiedTime?: string | undefined;
  symlinkTarget?: string | undefined;
  /** The answer as it came. */
  raw: Readonly<Record<string, unknown>>;
}

export const fileAnswer = z
  .looseObject({
    name: z.string(),
    path: z.string(),
    is_dir: z.boolean(),
    size: z.number(),
    type: z.string(),
    mode: optionalText,
    permissions: optionalText,
    owner: optionalText,
    group: optionalText,
    modified_time: optionalText,
    symlink_target: optionalText,
  })
  .transform((wire): FileInfo => ({
    name: wire.name,
    path: wire.path,
    isDir: wire.is_dir,
    size: wire.size,
    type: wire.type,
    mode: wire.mode,
    permissions: wire.permissions,
    owner: wire.owner,
    group: wire.group,
    modifiedTime: wire.modified_time,
    symlinkTarget: wire.symlink_target,
    raw: wire,
  }));

/** A line that matches. */
export interface FileMatch {
  file: string;
  /** From 1. */
  line: number;
  content: string;
}

export const matchesAnswer = z.array(
  z
    .looseObject({ file: z.string(), line: z.number(), content: z.string() })
    .transform(({ file, line, content }): FileMatch => ({ file, line, content })),
);

export interface ReplaceResult {
  replacements: number;
  filesModified: number;
  filesSkipped: number;
  binaryFilesSkipped: number;
}

export const replaceAnswer = z
  .looseObject({
    replacements: z.number(),
    files_modified: z.number(),
    files_skipped: z.number(),
    binary_files_skipped: z.number(),
  })
  .transform((wire): ReplaceResult => ({
    replacements: wire.replacements,
    filesModified: wire.files_modified,
    filesSkipped: wire.files_skipped,
    binaryFilesSkipped: wire.binary_files_skipped,
  }));

/** An upload in parts. */
export interface UploadSession {
  uploadId: string;
  status: Open<
    "aborted" | "completed" | "completing" | "created" | "expired" | "failed" | "staged" | "uploading"
  >;
  targetPath: string;
  /** Bytes of the whole. */
  contentLength: number;
  acceptedBytes: number;
  /** Bytes of every part but the last. */
  partSize: number;
  partCount: number;
  /** Parts that may be on their way at once. */
  maxConcurrency: number;
  /** ISO 8601. */
  expiresAt?: string | undefined;
  raw: Readonly<Record<string, unknown>>;
}

export const sessionAnswer = z
  .looseObject({
    upload_id: z.string(),
    status: z.string(),
    target_path: z.string(),
    content_length: z.number(),
    accepted_bytes: z.number(),
    part_size: z.int().positive(),
    part_count: z.number(),
    max_concurrency: z.number().nullish(),
    expires_at: optionalText,
  })
  .transform((wire): UploadSession => ({
    uploadId: wire.upload_id,
    status: wire.status,
    targetPath: wire.target_path,
    contentLength: wire.content_length,
    acceptedBytes: wire.accepted_bytes,
    partSize: wire.part_size,
    partCount: wire.part_count,
    maxConcurrency: wire.max_concurrency ?? 1,
    expiresAt: wire.expires_at,
    raw: wire,
  }));

/** The answer to a create wraps the session. */
export const createdSessionAnswer = z
  .looseObject({ session: sessionAnswer })
  .transform(({ session }) => session);

export interface CompletedUpload {
  session: UploadSession;
  publishedBytes: number;
  publishedFileCount: number;
}

export const completedAnswer = z
  .looseObject({ session: sessionAnswer, published_bytes: z.number(), published_file_count: z.number() })
  .transform((wire): CompletedUpload => ({
    session: wire.session,
    publishedBytes: wire.published_bytes,
    publishedFileCount: wire.published_file_count,
  }));
