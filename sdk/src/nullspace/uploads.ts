/** `client.files.uploads`: one method per endpoint of an upload in parts, and `send` for the whole of one. */
import { createHash } from "node:crypto";
import type { z } from "zod";
import { fetchAs, fetchValue, segment } from "../answers";
import type { Call, CallOptions, MutationOptions } from "../call";
import { FileUploadError } from "../errors";
import { anyAnswer, given, machinePath, withKey, withoutKey, wholeNumber } from "./calls";
import type { NullspaceContext } from "./context";
import { inParts, sized, type OpenSource } from "./file-source";
import {
  completedAnswer,
  createdSessionAnswer,
  sessionAnswer,
  type CompletedUpload,
  type UploadSession,
} from "./file-wire";
import { uploadRetry } from "./retry";
import { timeLimits } from "./time-limits";

export interface CreateUploadParams {
  kind: "file" | "directory_tar";
  sourceKind: "restartable_file" | "spooled_stream" | "directory_archive";
  targetPath: string;
  /** Bytes of the whole. */
  contentLength: number;
  /** What is done about something that is there already. */
  conflict: "error" | "merge" | "replace";
  /** Account inside the machine; default root. */
  user?: string | undefined;
  /** Lower-case hex, where it is known before. */
  wholeChecksumSha256?: string | undefined;
  metadata?: Record<string, unknown> | undefined;
}

export interface SendOptions extends MutationOptions {
  /** Told of all the bytes that the service has accepted. */
  onAccepted?: ((bytes: number) => void) | undefined;
}

/** More of our own are not sent at once, whatever the service allows: each is held in memory. */
const mostAtOnce = 4;
/** For giving an upload up after a failure, in milliseconds. */
const abortMs = 5_000;

/** Every call is repeated up to 5 times when its answer is lost: keys and part numbers make that safe. */
export class Uploads {
  constructor(private readonly context: Pick<NullspaceContext, "transport">) {}

  /** @throws FileUploadError, such as `details.reason` `target_conflict` or `size_limit_exceeded` */
  async create(
    machineId: string,
    params: CreateUploadParams,
    options?: MutationOptions,
  ): Promise<UploadSession> {
    return this.send(
      createdSessionAnswer,
      `begin an upload to ${params.targetPath} in`,
      "POST",
      machineId,
      "",
      {
        body: given({
          kind: params.kind,
          source_kind: params.sourceKind,
          target_path: params.targetPath,
          content_length: params.contentLength,
          conflict: params.conflict,
          checksum_algorithm: "sha256",
          user: params.user,
          archive_format: params.kind === "directory_tar" ? "tar" : undefined,
          whole_checksum_sha256: params.wholeChecksumSha256,
          metadata: params.metadata,
        }),
        options: withKey(options),
      },
    );
  }

  /** @throws NotFoundError */
  async get(machineId: string, uploadId: string, options?: CallOptions): Promise<UploadSession> {
    return this.send(sessionAnswer, `read upload ${uploadId} in`, "GET", machineId, below(uploadId), {
      options: withoutKey(options),
    });
  }

  /** @param partNumber from 0 @throws FileUploadError */
  async putPart(
    machineId: string,
    uploadId: string,
    { partNumber, content }: { partNumber: number; content: Uint8Array },
    options?: CallOptions,
  ): Promise<UploadSession> {
    const number = String(wholeNumber("the number of the part", partNumber, 0, 1_000_000));
    const what = `send part ${number} of upload ${uploadId} to`;
    return this.send(sessionAnswer, what, "PUT", machineId, below(uploadId, `/parts/${number}`), {
      keyed: false,
      content: { type: "application/octet-stream", sizeBytes: content.length, open: () => content },
      headers: { "x-nullspace-part-sha256": createHash("sha256").update(content).digest("hex") },
      options: withoutKey(options),
    });
  }

  /** Publishes what was sent. @throws FileUploadError, such as `details.reason` `missing_parts` */
  async complete(
    machineId: string,
    uploadId: string,
    { wholeChecksumSha256 }: { wholeChecksumSha256?: string | undefined } = {},
    options?: MutationOptions,
  ): Promise<CompletedUpload> {
    const path = below(uploadId, "/complete");
    return this.send(completedAnswer, `complete upload ${uploadId} in`, "POST", machineId, path, {
      body: given({ whole_checksum_sha256: wholeChecksumSha256 }),
      options: withKey(options),
    });
  }

  /** Gives it up; nothing of it stays. */
  async abort(machineId: string, uploadId: string, options?: CallOptions): Promise<void> {
    const call = this.call(`give up upload ${uploadId} in`, "DELETE", machineId, below(uploadId), {
      keyed: false,
      options: withoutKey(options),
    });
    await fetchValue(this.context.transport, anyAnswer, call);
  }

  /** A whole source in parts, some at once; given up on any failure. Its checksum is checked by the service. */
  async sendAll(
    machineId: string,
    source: OpenSource & { sizeBytes: number },
    params: Omit<CreateUploadParams, "contentLength">,
    { onAccepted, ...options }: SendOptions = {},
  ): Promise<CompletedUpload> {
    const { signal, timeoutMs } = options;
    const key = withKey(options).idempotencyKey ?? "";
    const created = await this.create(
      machineId,
      { ...params, contentLength: source.sizeBytes },
      {
        ...options,
        idempotencyKey: key,
      },
    );
    const { uploadId } = created;
    try {
      const wholeChecksumSha256 = await this.sendParts(machineId, created, source, {
        signal,
        timeoutMs,
        onAccepted,
      });
      // The same key would mean the same call.
      const completing = { signal, timeoutMs, idempotencyKey: `${key}.complete`.slice(-255) };
      return await this.complete(machineId, uploadId, { wholeChecksumSha256 }, completing);
    } catch (error) {
      const done = await this.completedBefore(machineId, uploadId, error);
      if (done) return done;
      await this.abort(machineId, uploadId, { timeoutMs: abortMs }).catch(() => undefined); // It expires by itself.
      throw error;
    }
  }

  /** The checksum of everything that was sent. */
  private async sendParts(
    machineId: string,
    session: UploadSession,
    source: OpenSource & { sizeBytes: number },
    { signal, timeoutMs, onAccepted }: SendOptions,
  ): Promise<string> {
    const hash = createHash("sha256");
    const stop = new AbortController();
    const ending = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal;
    const atOnce = Math.max(1, Math.min(mostAtOnce, session.maxConcurrency));
    const underWay = new Set<Promise<void>>();
    let accepted = 0;
    let partNumber = 0;
    const put = async (number: number, content: Buffer): Promise<void> => {
      await this.putPart(
        machineId,
        session.uploadId,
        { partNumber: number, content },
        { signal: ending, timeoutMs },
      );
      accepted += content.length;
      onAccepted?.(accepted);
    };
    try {
      for await (const content of inParts(sized(source.read(), source.sizeBytes), session.partSize)) {
        ending.throwIfAborted();
        hash.update(content);
        const task: Promise<void> = put(partNumber++, content).finally(() => underWay.delete(task));
        // A part that fails while the next one is read is seen by the race or at the end.
        task.catch(() => stop.abort());
        underWay.add(task);
        if (underWay.size >= atOnce) await Promise.race(underWay);
      }
      await Promise.all(underWay);
    } catch (error) {
      stop.abort();
      await Promise.allSettled(underWay);
      throw error;
    }
    return hash.digest("hex");
  }

  /** A complete whose answer was lost may be refused as done already: then it is done. */
  private async completedBefore(
    machineId: string,
    uploadId: string,
    error: unknown,
  ): Promise<CompletedUpload | undefined> {
    if (!(error instanceof FileUploadError) || error.details?.reason !== "upload_already_completed")
      return undefined;
    const session = await this.get(machineId, uploadId);
    if (session.status !== "completed") return undefined;
    return { session, publishedBytes: session.acceptedBytes, publishedFileCount: 1 };
  }

  private async send<T extends object>(
    schema: z.ZodType<T>,
    verb: string,
    method: Call["method"],
    machineId: string,
    path: string,
    rest: Partial<Call>,
  ): Promise<T> {
    return fetchAs(this.context.transport, schema, this.call(verb, method, machineId, path, rest));
  }

  private call(
    verb: string,
    method: Call["method"],
    machineId: string,
    path: string,
    rest: Partial<Call>,
  ): Call {
    return {
      ...rest,
      retry: uploadRetry,
      attemptTimeoutMs: timeLimits.transferMs,
      what: `${verb} machine ${machineId}`,
      machineId,
      method,
      path: machinePath(machineId, `/uploads${path}`),
      options: { ...rest.options, timeoutMs: rest.options?.timeoutMs ?? timeLimits.wholeRecoveryMs },
    };
  }
}

const below = (uploadId: string, path = ""): string => `/${segment("upload id", uploadId)}${path}`;
