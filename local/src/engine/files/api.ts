/** Files of a machine. Every path is one inside the machine; relative ones start in the machine's working folder. */
import type { Readable } from "node:stream";

export interface FileRecord {
  name: string;
  /** Absolute. */
  path: string;
  type: "file" | "directory" | "symlink" | "other";
  /** Bytes. */
  size: number;
  /** Such as "0644". */
  mode: string;
  /** Such as "rw-r--r--". */
  permissions: string;
  owner: string;
  group: string;
  /** ISO 8601. */
  modifiedAt: string;
  symlinkTarget: string | null;
}

export interface FileMatch {
  file: string;
  /** From 1. */
  line: number;
  content: string;
}

export interface FileChange {
  event: "create" | "write" | "remove" | "rename" | "chmod";
  /** Relative to the watched folder. */
  name: string;
  /** Absolute. */
  path: string;
}

export interface FileOptions {
  signal: AbortSignal;
  /** Account inside the machine; default root. */
  user?: string;
}

/**
 * Every call counts as activity and may wake the machine (Machines.use).
 * @throws Refusal machine_not_found, machine_not_running, file_not_found, file_exists, file_refused (wrong kind,
 * no permission, bad path), file_failed (disk full, ...), not_supported.
 */
export interface Files {
  stat(machineId: string, path: string, options: FileOptions): Promise<FileRecord>;
  exists(machineId: string, path: string, options: FileOptions): Promise<boolean>;
  /** Sorted by path. `depth` 1 (default) is the folder's own entries. More than 50,000 are refused (file_refused). */
  list(machineId: string, path: string, options: FileOptions & { depth?: number }): Promise<FileRecord[]>;
  /** Rejects with file_not_found or file_refused before any byte comes. */
  read(machineId: string, path: string, options: FileOptions): Promise<{ size: number; content: Readable }>;
  /**
   * All or nothing: the old content stays until the new one is complete. Makes the folders above. `content` is read to
   * its end and never destroyed. `exclusive` refuses a file that exists (file_exists).
   */
  write(
    machineId: string,
    path: string,
    content: Readable,
    options: FileOptions & { exclusive?: boolean },
  ): Promise<FileRecord>;
  /**
   * Unpacks a tar archive below `path`, all or (but for a full disk while merging) nothing: files, folders and symbolic
   * links that stay below it; see vet-tar.ts for what is refused (`details.archive`). `merge` keeps other files, `replace` removes them, `error` refuses a folder that exists.
   */
  unpack(
    machineId: string,
    path: string,
    archive: Readable,
    options: FileOptions & { conflict: "error" | "merge" | "replace" },
  ): Promise<{ files: number; bytes: number }>;
  /** Folders with everything in them. */
  remove(machineId: string, path: string, options: FileOptions): Promise<void>;
  rename(machineId: string, from: string, to: string, options: FileOptions): Promise<FileRecord>;
  /** Makes the folders above; one that exists is no error. */
  makeFolder(machineId: string, path: string, options: FileOptions): Promise<void>;
  /** `permissions` as chmod takes them in octal. */
  setPermissions(machineId: string, path: string, permissions: string, options: FileOptions): Promise<void>;
  /**
   * Lines that match a regular expression (POSIX extended), cut at 2,000 characters ("..."). Binary files are skipped, links
   * not followed. More than 10,000 matches are refused (file_refused).
   */
  find(machineId: string, path: string, pattern: string, options: FileOptions): Promise<FileMatch[]>;
  /** Paths below `path` whose name matches a glob; at most 10,000, as above. */
  search(machineId: string, path: string, pattern: string, options: FileOptions): Promise<string[]>;
  /**
   * Replaces plain text in these files, each at once. Skipped are files without it, and what is missing, refused or larger
   * than 32 MiB. A change by somebody else at the same moment may be lost.
   */
  replace(
    machineId: string,
    files: readonly string[],
    pattern: string,
    replacement: string,
    options: FileOptions,
  ): Promise<{
    replacements: number;
    filesModified: number;
    filesSkipped: number;
    binaryFilesSkipped: number;
  }>;
  /**
   * Resolves when the watch stands; ends with the signal, when the machine stops, or after "remove" of "." when the folder
   * goes. A rename is "rename" of the old name and "create" of the new one. What happened between two looks, which are at
   * least 15 ms apart, comes as its outcome: a slow reader gets fewer changes, and nobody is told of a file that came and
   * went in between. Folders of other file systems are left out.
   */
  watch(
    machineId: string,
    path: string,
    options: FileOptions & { recursive: boolean },
  ): Promise<AsyncIterable<FileChange>>;
}
