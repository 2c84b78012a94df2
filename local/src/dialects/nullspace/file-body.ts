/** Bodies that are not JSON: left unread until a route asks for them, and never held in memory. */
import { type Readable, Transform } from "node:stream";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { type WireError, wireError } from "./errors";

/** Of a body that was refused before its end is read on, so that its sender gets to the answer; no longer than this. */
const drainMs = 10_000;

/** Every body of the scope is left unread. */
export function rawBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", (_request, _body, done) => {
    done(null);
  });
  app.addHook("onResponse", async ({ raw }) => {
    if (raw.complete) return;
    const cut = setTimeout(() => raw.socket.destroy(), drainMs).unref();
    raw.once("close", () => {
      clearTimeout(cut);
    });
  });
}

export const isForm = (request: FastifyRequest): boolean =>
  /^multipart\//i.test(request.headers["content-type"] ?? "");

/**
 * The body of a request, to be begun when it is wanted. It fails when it is too long or not sent to its end; the request
 * itself is never destroyed, since it has to be answered.
 * @throws WireError 415, and `tooLong` where the length is told
 */
export function bodyOf(
  request: FastifyRequest,
  { mostBytes, tooLong }: { mostBytes: number; tooLong: () => WireError },
): () => Readable {
  requirePlain(request);
  if (Number(request.headers["content-length"] ?? 0) > mostBytes) throw tooLong();
  return () => copyOf(request.raw, mostBytes, tooLong);
}

/** @throws WireError 415 */
export function requirePlain(request: FastifyRequest): void {
  const coding = request.headers["content-encoding"];
  if (coding === undefined || coding === "identity") return;
  throw wireError(415, "invalid_request", "send the bytes as they are: no Content-Encoding is undone here");
}

function copyOf(source: Readable, mostBytes: number, tooLong: () => WireError): Readable {
  let bytes = 0;
  const copy = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      if (bytes > mostBytes) done(tooLong());
      else done(null, chunk);
    },
  });
  const cut = (): void => {
    if (!source.readableEnded) copy.destroy(unfinished());
  };
  // Whoever reads the copy is told by it; it may fail before anybody does.
  copy.on("error", () => undefined);
  copy.once("close", () => {
    source.off("error", cut).off("close", cut).unpipe(copy);
    source.resume();
  });
  source.once("error", cut).once("close", cut);
  if (source.destroyed) cut();
  else source.pipe(copy);
  return copy;
}

export const unfinished = (): WireError =>
  wireError(400, "invalid_request", "the request was not sent to its end");
