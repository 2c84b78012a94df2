/** The content of a file as plain bytes, read and written as it comes: neither is ever held in memory. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { wireError } from "./errors";
import { bodyOf, isForm } from "./file-body";
import { writeForm } from "./file-form";
import { asUser, maxUploadBytes } from "./file-requests";
import type { FileDeps } from "./file-routes";
import { Query } from "./query";
import { machineOf } from "./requests";
import { living } from "./transitions";

/** Where a file is. */
export interface FilePlace {
  id: string;
  path: string;
  user?: string;
}

export function fileContentRoutes(app: FastifyInstance, deps: FileDeps): void {
  app.get("/v1/machines/:id/file", async (request, reply) => sendFile(deps, reply, placeOf(request)));
  app.put("/v1/machines/:id/file", async (request, reply) => {
    const place = placeOf(request);
    return receiveFile(deps, request, reply, place);
  });
  app.post("/v1/machines/:id/file", async (request, reply) => {
    const place = placeOf(request);
    if (!isForm(request)) return receiveFile(deps, request, reply, place);
    await living(deps.controlPlane, place.id);
    await deps.waiting.run(reply, { kind: "transfer", id: place.id }, (signal) =>
      writeForm(request, (content) =>
        deps.controlPlane.files.write(place.id, place.path, content, { signal, ...asUser(place.user) }),
      ),
    );
    return reply.code(204).send();
  });
}

/** @throws WireError 400 */
function placeOf(request: FastifyRequest): FilePlace {
  const id = machineOf(request);
  const query = new Query(request, ["path", "user"]);
  const path = query.text("path");
  if (path === undefined) query.refuse("path", "required");
  query.done();
  return { id, path: path ?? "", ...asUser(query.text("user")) };
}

/** Answers with the content. A cut in the middle cuts the connection: its reader misses bytes of the length it was told. */
export async function sendFile(
  { controlPlane, waiting }: FileDeps,
  reply: FastifyReply,
  { id, path, user }: FilePlace,
): Promise<FastifyReply> {
  await living(controlPlane, id);
  const { size, content } = await waiting.run(reply, { kind: "file", id }, (signal) =>
    controlPlane.files.read(id, path, { signal, ...asUser(user) }),
  );
  return reply
    .headers({
      "content-type": "application/octet-stream",
      "content-length": String(size),
      "x-content-type-options": "nosniff",
    })
    .send(content);
}

/** Writes the body of a request. */
export async function receiveFile(
  { controlPlane, waiting }: FileDeps,
  request: FastifyRequest,
  reply: FastifyReply,
  { id, path, user }: FilePlace,
): Promise<FastifyReply> {
  const tooLong = () =>
    wireError(
      413,
      "file_error",
      `the body is larger than ${String(maxUploadBytes)} bytes, the most a file can have`,
    );
  const body = bodyOf(request, { mostBytes: maxUploadBytes, tooLong });
  await living(controlPlane, id);
  await waiting.run(reply, { kind: "transfer", id }, (signal) =>
    controlPlane.files.write(id, path, body(), { signal, ...asUser(user) }),
  );
  return reply.code(204).send();
}
