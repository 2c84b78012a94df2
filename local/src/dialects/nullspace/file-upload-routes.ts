/** Uploads in parts over HTTP. Parts are numbered from 0, as the vendor's client does. */
import type { FastifyInstance, FastifyRequest } from "fastify";
import { violation } from "../../http-violations";
import { invalid } from "./errors";
import { bodyOf } from "./file-body";
import { completeUploadRequest, createUploadRequest } from "./file-requests";
import type { FileDeps } from "./file-routes";
import { partSize } from "./file-upload-checks";
import { uploadRefused } from "./file-upload-errors";
import type { UploadSession } from "./file-upload-session";
import type { Uploads } from "./file-uploads";
import { idempotencyOf, machineOf, param, parse, requireNoBody } from "./requests";
import { living } from "./transitions";

type UploadDeps = FileDeps & { uploads: Uploads };

const sessionOf = async (
  { uploads, controlPlane }: UploadDeps,
  request: FastifyRequest,
): Promise<UploadSession> => {
  const { id } = await living(controlPlane, machineOf(request));
  return uploads.get(id, param(request, "upload_id"));
};

export function uploadRoutes(app: FastifyInstance, deps: UploadDeps): void {
  const { controlPlane, uploads, waiting } = deps;

  app.post("/v1/machines/:id/uploads", async (request, reply) => {
    const id = machineOf(request);
    const asked = parse(createUploadRequest, request.body, (fields) => [
      ...(fields["kind"] === "file" && typeof fields["archive_format"] === "string"
        ? [
            violation(
              "body.archive_format",
              "only an archive has one: leave it out, or upload a directory_tar",
            ),
          ]
        : []),
      ...((fields["kind"] === "directory_tar") !== (fields["source_kind"] === "directory_archive")
        ? [
            violation(
              "body.source_kind",
              "directory_archive goes with the kind directory_tar, and only with that",
            ),
          ]
        : []),
    ]);
    const key = idempotencyOf(request, asked);
    await living(controlPlane, id);
    const session = await waiting.run(reply, { kind: "file", id }, (signal) =>
      uploads.create(id, asked, key, signal),
    );
    return { session: session.info() };
  });

  app.get("/v1/machines/:id/uploads/:upload_id", async (request) => (await sessionOf(deps, request)).info());

  app.delete("/v1/machines/:id/uploads/:upload_id", async (request, reply) => {
    requireNoBody(request);
    await uploads.abort(await sessionOf(deps, request));
    return reply.code(204).send();
  });

  app.post("/v1/machines/:id/uploads/:upload_id/complete", async (request, reply) => {
    const asked = parse(completeUploadRequest, request.body ?? {});
    const { key } = idempotencyOf(request, asked);
    const session = await sessionOf(deps, request);
    const { machineId: id } = session.stored;
    const checksum = asked.whole_checksum_sha256 ?? undefined;
    await waiting.run(reply, { kind: "lifecycle", id }, (signal) =>
      uploads.complete(session, key, checksum, signal),
    );
    const { end } = session.stored;
    const done = end?.status === "completed" ? end : { bytes: 0, files: 0 };
    return { session: session.info(), published_bytes: done.bytes, published_file_count: done.files };
  });
}

/** In a scope of raw bodies. */
export function partRoutes(app: FastifyInstance, deps: UploadDeps): void {
  const { controlPlane, uploads, waiting } = deps;

  app.put("/v1/machines/:id/uploads/:upload_id/parts/:part_number", async (request, reply) => {
    const checksum = checksumOf(request);
    const session = await sessionOf(deps, request);
    const part = partOf(request, session);
    const about = { upload_id: session.id, part_number: part };
    const mostBytes = session.bytesOf(part);
    const body = bodyOf(request, { mostBytes, tooLong: () => partSize(about, mostBytes) });
    const { machineId: id } = session.stored;
    await waiting.run(reply, { kind: "transfer", id }, async (signal) => {
      await controlPlane.machines.use(id, "file", signal);
      await uploads.putPart(session, part, body, checksum);
    });
    return session.info();
  });
}

/** @throws WireError 400 */
function checksumOf(request: FastifyRequest): string | undefined {
  const given = request.headers["x-nullspace-part-sha256"];
  if (given === undefined || (typeof given === "string" && /^[0-9a-f]{64}$/i.test(given))) return given;
  throw invalid([violation("header.x-nullspace-part-sha256", "must be 64 hexadecimal digits")]);
}

/** @throws WireError 400 */
function partOf(request: FastifyRequest, session: UploadSession): number {
  const text = param(request, "part_number");
  const part = /^\d{1,9}$/.test(text) ? Number(text) : -1;
  if (part >= 0 && part < session.partCount) return part;
  const words =
    session.partCount === 0
      ? "an upload of no bytes has no parts: complete it"
      : `the parts of this upload are numbered from 0 to ${String(session.partCount - 1)}`;
  throw uploadRefused("part_out_of_range", words, { upload_id: session.id });
}
