/** `client.files`: the files of a machine. Paths are the machine's; relative ones start in its working folder. */
import { z } from "zod";
import { fetchValue } from "../answers";
import type { Call, CallOptions, MutationOptions } from "../call";
import { UsageError } from "../errors";
import { FileWatch, type WatchOptions } from "./file-watch";
import { anyAnswer, given, machinePath, wholeNumber, withoutKey } from "./calls";
import type { NullspaceContext } from "./context";
import { readDownload, type FileDownload } from "./file-download";
import { asReadable, openSource, sized, type FileSource, type OpenSource } from "./file-source";
import {
  fileAnswer,
  matchesAnswer,
  replaceAnswer,
  type CompletedUpload,
  type FileInfo,
  type FileMatch,
  type ReplaceResult,
} from "./file-wire";
import { limitRetry, uploadRetry } from "./retry";
import { timeLimits } from "./time-limits";
import { Uploads } from "./uploads";

export interface FileOptions extends CallOptions {
  /** Account inside the machine; default root. */
  user?: string | undefined;
}

export interface TransferProgress {
  /** So far. */
  bytes: number;
  /** Of the whole, where it is known. */
  totalBytes: number | undefined;
}

export interface TransferOptions extends FileOptions {
  /** Told as it goes on, at least once at the end; when it throws, the transfer is given up. */
  onProgress?: ((progress: TransferProgress) => void) | undefined;
}

export interface ReadOptions extends TransferOptions {
  /** The most that is held in memory, in bytes; default 268435456. More is refused: `file_too_large`. */
  maxBytes?: number | undefined;
}

export interface WriteOptions extends TransferOptions, MutationOptions {}

export interface UnpackOptions extends WriteOptions {
  /** What is done about a folder that is there: refuse, keep its other files, or remove them. Default `merge`. */
  conflict?: "error" | "merge" | "replace" | undefined;
}

/** Up to this many bytes go in one request; more go in parts where the length is known. */
export const mostInOneRequest = 8 * 1024 * 1024;
const mostInMemory = 256 * 1024 * 1024;

/** Every call throws NotFoundError for a machine or a file that is not there. */
export class Files {
  /** Uploads in parts, call by call. */
  readonly uploads: Uploads;

  constructor(private readonly context: NullspaceContext) {
    this.uploads = new Uploads(context);
  }

  /** A text file. @throws UsageError `not_text` when it is no UTF-8 · `file_too_large` */
  async read(machineId: string, path: string, options?: ReadOptions): Promise<string> {
    const bytes = await this.readBytes(machineId, path, options);
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch (cause) {
      throw new UsageError({
        message: `read ${path} in machine ${machineId}: it is no UTF-8 text; use readBytes`,
        code: "not_text",
        machineId,
        cause,
      });
    }
  }

  /** @throws UsageError `file_too_large` */
  async readBytes(machineId: string, path: string, options: ReadOptions = {}): Promise<Buffer> {
    const maxBytes = options.maxBytes ?? mostInMemory;
    const download = await this.readStream(machineId, path, options);
    const chunks: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of download) {
      size += chunk.length;
      if (size > maxBytes) {
        throw new UsageError({
          message: `read ${path} in machine ${machineId}: it has more than ${String(maxBytes)} bytes; use readStream`,
          code: "file_too_large",
          machineId,
        });
      }
      chunks.push(chunk);
    }
    return Buffer.concat(chunks, size);
  }

  /**
   * A file as it comes, read once. `options.timeoutMs` counts until the first byte; after that 300 s of silence end it.
   * Leaving the loop, or the signal, gives it up. @throws ConnectionError when it is cut
   */
  async readStream(machineId: string, path: string, options: TransferOptions = {}): Promise<FileDownload> {
    const call: Call = {
      what: `read ${path} in machine ${machineId}`,
      machineId,
      method: "GET",
      path: machinePath(machineId, "/file"),
      query: { path: named(path), user: options.user },
      headers: { accept: "application/octet-stream, */*;q=0.5" },
      attemptTimeoutMs: timeLimits.transferMs,
      options: withoutKey(options),
    };
    return readDownload(this.context.transport, call, options);
  }

  /**
   * Writes a whole file, and makes the folders above. What is there stays until the new content is complete. Up to 8 MiB
   * goes in one request; more goes in parts, each with its checksum, sent again when it gets lost; a stream without a
   * length goes in one request as it comes. Answers the number of bytes.
   * @throws UsageError `unreadable_source` · FileUploadError
   */
  async write(
    machineId: string,
    path: string,
    source: FileSource,
    options: WriteOptions = {},
  ): Promise<{ bytes: number }> {
    options.signal?.throwIfAborted();
    const open = await openSource(source);
    const { sizeBytes } = open;
    if (sizeBytes === undefined || sizeBytes <= mostInOneRequest) {
      return { bytes: await this.writeAtOnce(machineId, path, open, options) };
    }
    const done = await this.inParts(machineId, path, { ...open, sizeBytes }, "file", "replace", options);
    return { bytes: done.publishedBytes };
  }

  /** Unpacks a tar archive below a folder. @throws FileUploadError, such as `details.reason` `target_conflict` */
  async unpack(
    machineId: string,
    path: string,
    archive: Exclude<FileSource, AsyncIterable<Uint8Array>>,
    options: UnpackOptions = {},
  ): Promise<{ bytes: number; files: number }> {
    const open = await openSource(archive);
    const { sizeBytes } = open;
    if (sizeBytes === undefined) {
      throw new UsageError({
        message: `unpack an archive in machine ${machineId}: its length must be known; give { stream, sizeBytes }`,
        code: "invalid_argument",
      });
    }
    const done = await this.inParts(
      machineId,
      path,
      { ...open, sizeBytes },
      "directory_tar",
      options.conflict ?? "merge",
      options,
    );
    return { bytes: done.publishedBytes, files: done.publishedFileCount };
  }

  /** Sorted by path. @param options.depth 1, the default, is the folder's own entries */
  async list(
    machineId: string,
    path: string,
    options: FileOptions & { depth?: number | undefined } = {},
  ): Promise<FileInfo[]> {
    const depth =
      options.depth === undefined ? undefined : wholeNumber("list files: depth", options.depth, 1, 1_000);
    return this.call(z.array(fileAnswer), `list ${path}`, machineId, {
      method: "GET",
      path: machinePath(machineId, "/files"),
      query: { path: named(path), depth, user: options.user },
      options: withoutKey(options),
    });
  }

  async stat(machineId: string, path: string, options?: FileOptions): Promise<FileInfo> {
    return this.post(fileAnswer, `look at ${path}`, machineId, "info", { path: named(path) }, options);
  }

  async exists(machineId: string, path: string, options?: FileOptions): Promise<boolean> {
    const schema = z.looseObject({ exists: z.boolean() });
    const body = { path: named(path) };
    return (await this.post(schema, `look for ${path}`, machineId, "exists", body, options)).exists;
  }

  /** A folder goes with everything in it. */
  async remove(machineId: string, path: string, options?: FileOptions): Promise<void> {
    await this.post(anyAnswer, `remove ${path}`, machineId, "remove", { path: named(path) }, options);
  }

  async rename(machineId: string, from: string, to: string, options?: FileOptions): Promise<FileInfo> {
    const body = { old_path: named(from), new_path: named(to) };
    return this.post(fileAnswer, `rename ${from}`, machineId, "rename", body, options);
  }

  /** Makes the folders above too; one that exists is no error. */
  async mkdir(machineId: string, path: string, options?: FileOptions): Promise<void> {
    await this.post(anyAnswer, `make the folder ${path}`, machineId, "mkdir", { path: named(path) }, options);
  }

  /** @param permissions as chmod takes them in octal, such as `0644` */
  async setPermissions(
    machineId: string,
    path: string,
    permissions: string,
    options?: FileOptions,
  ): Promise<void> {
    const body = { path: named(path), permissions };
    await this.post(anyAnswer, `set the permissions of ${path}`, machineId, "permissions", body, options);
  }

  /** Lines below a path that match a regular expression. */
  async find(machineId: string, path: string, pattern: string, options?: FileOptions): Promise<FileMatch[]> {
    const body = { path: named(path), pattern };
    return this.post(matchesAnswer, `find in ${path}`, machineId, "find", body, options);
  }

  /** Paths below a path whose name matches a glob. */
  async search(machineId: string, path: string, pattern: string, options?: FileOptions): Promise<string[]> {
    const body = { path: named(path), pattern };
    return this.post(z.array(z.string()), `search ${path}`, machineId, "search", body, options);
  }

  /** Replaces text in these files. */
  async replace(
    machineId: string,
    files: readonly string[],
    change: { pattern: string; replacement: string },
    options?: FileOptions,
  ): Promise<ReplaceResult> {
    const body = { files: files.map(named), pattern: change.pattern, replacement: change.replacement };
    return this.post(replaceAnswer, "replace text in files", machineId, "replace", body, options);
  }

  /**
   * Resolves when the watch stands: every later change is told. A broken connection is opened anew, and a `gap` says so.
   *
   * @example
   * await using watch = await client.files.watch(machineId, "/srv", { recursive: true });
   * for await (const change of watch) if (change.kind === "change") console.log(change.event, change.path);
   */
  async watch(machineId: string, path: string, options: WatchOptions = {}): Promise<FileWatch> {
    options.signal?.throwIfAborted();
    const watch = new FileWatch(this.context, machineId, named(path), options);
    await watch.started;
    return watch;
  }

  /** An address from which anybody who has it can read the file, for a while. */
  async downloadUrl(machineId: string, path: string, options?: FileOptions): Promise<string> {
    const schema = z.looseObject({ url: z.string() });
    const body = { path: named(path) };
    return (await this.post(schema, `ask for a URL of ${path}`, machineId, "download-url", body, options))
      .url;
  }

  /** An address and a token with which the file can be written, for a while. */
  async uploadUrl(
    machineId: string,
    path: string,
    options?: FileOptions,
  ): Promise<{ url: string; token: string }> {
    const schema = z.looseObject({ url: z.string(), token: z.string() });
    const body = { path: named(path) };
    const found = await this.post(schema, `ask for a URL of ${path}`, machineId, "upload-url", body, options);
    return { url: found.url, token: found.token };
  }

  private async writeAtOnce(
    machineId: string,
    path: string,
    source: OpenSource,
    options: WriteOptions,
  ): Promise<number> {
    const { sizeBytes } = source;
    let sent = 0;
    const report = (): void => options.onProgress?.({ bytes: sent, totalBytes: sizeBytes });
    await this.call(anyAnswer, `write ${path}`, machineId, {
      method: "PUT",
      path: machinePath(machineId, "/file"),
      query: { path: named(path), user: options.user },
      content: {
        type: "application/octet-stream",
        sizeBytes,
        open: () => {
          sent = 0;
          if (source.bytes) {
            sent = source.bytes.length;
            return source.bytes;
          }
          const chunks = sizeBytes === undefined ? source.read() : sized(source.read(), sizeBytes);
          return asReadable(chunks, (bytes) => {
            sent += bytes;
            report();
          });
        },
      },
      retry: source.repeatable ? uploadRetry : limitRetry,
      // What was sent of a stream cannot be had again.
      ...(source.repeatable ? {} : { maxRetries: 0 }),
      attemptTimeoutMs: timeLimits.transferMs,
      options: { signal: options.signal, timeoutMs: options.timeoutMs ?? timeLimits.wholeRecoveryMs },
    });
    report();
    return sent;
  }

  private async inParts(
    machineId: string,
    path: string,
    source: OpenSource & { sizeBytes: number },
    kind: "file" | "directory_tar",
    conflict: "error" | "merge" | "replace",
    { onProgress, user, ...options }: WriteOptions,
  ): Promise<CompletedUpload> {
    const ofFile = source.repeatable ? "restartable_file" : "spooled_stream";
    const sourceKind = kind === "file" ? ofFile : "directory_archive";
    const params = { kind, sourceKind, targetPath: named(path), conflict, user } as const;
    return this.uploads.sendAll(machineId, source, params, {
      ...options,
      onAccepted: (bytes) => onProgress?.({ bytes, totalBytes: source.sizeBytes }),
    });
  }

  private async post<T>(
    schema: z.ZodType<T>,
    verb: string,
    machineId: string,
    below: string,
    body: object,
    options: FileOptions = {},
  ): Promise<T> {
    return this.call(schema, verb, machineId, {
      method: "POST",
      path: machinePath(machineId, `/files/${below}`),
      body: given({ ...body, user: options.user }),
      options: withoutKey(options),
    });
  }

  private async call<T>(
    schema: z.ZodType<T>,
    verb: string,
    machineId: string,
    rest: Omit<Call, "what" | "machineId">,
  ): Promise<T> {
    const what = `${verb} in machine ${machineId}`;
    const { value } = await fetchValue(this.context.transport, schema, {
      ...rest,
      what,
      machineId,
      keyed: false,
    });
    return value;
  }
}

/** @throws UsageError `invalid_argument` */
function named(path: string): string {
  if (path !== "" && !path.includes("\0")) return path;
  throw new UsageError({
    message: `the path ${JSON.stringify(path)} names no file`,
    code: "invalid_argument",
  });
}
