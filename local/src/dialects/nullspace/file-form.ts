/** Multipart forms, read part by part as they come. */
import { type Readable, Transform } from "node:stream";
import busboy from "busboy";
import type { FastifyRequest } from "fastify";
import { WireError, wireError } from "./errors";
import { requirePlain, unfinished } from "./file-body";
import { maxUploadBytes } from "./file-requests";

/** Of a part that is not a file, and of the manifest. */
const maxFieldBytes = 1_048_576;

export interface FormPart {
  name: string;
  /** To be read to its end, or `resume`d. */
  content: Readable;
}

interface FormReader {
  /** One after another. A rejection ends the form. */
  part(part: FormPart): Promise<void>;
  /** Text of a part without a file name. */
  field(name: string, text: string): void;
  maxParts: number;
  /** The content of a part ends only when the form was whole. */
  hold?: boolean;
}

const broken = (why: string, cause?: unknown): WireError =>
  wireError(400, "invalid_request", `the multipart body is broken: ${why}`, { cause });

/** Resolves when the form is at its end and every part was taken. @throws WireError 400, 413, 415 */
export async function readForm(request: FastifyRequest, reader: FormReader): Promise<void> {
  requirePlain(request);
  const form = openForm(request, reader.maxParts);
  const { raw } = request;
  let last = Promise.resolve();
  let failure: { error: unknown } | undefined;
  const ended = new Promise<void>((resolve) => form.once("close", resolve));
  const wasWhole = async (): Promise<void> => {
    await ended;
    if (failure) throw failure.error;
  };
  const fail = (error: unknown): void => {
    failure ??= { error };
    raw.unpipe(form);
    raw.resume();
    form.destroy();
  };
  form.on("file", (name, content) => {
    // Told to whoever reads it; a part that nobody reads must not end the process.
    content.on("error", () => undefined);
    last = last.then(async () => {
      if (failure) content.resume();
      else await reader.part({ name, content: whole(content, reader.hold ? wasWhole : nothing) });
    });
    last.catch(fail);
  });
  form.on("field", (name, text, { nameTruncated, valueTruncated }) => {
    try {
      if (nameTruncated || valueTruncated) {
        throw wireError(
          413,
          "invalid_request",
          `a field of the form is larger than ${String(maxFieldBytes)} bytes`,
        );
      }
      reader.field(name, text);
    } catch (error) {
      fail(error);
    }
  });
  form.on("partsLimit", () => {
    fail(wireError(413, "invalid_request", `the form has more than ${String(reader.maxParts)} parts`));
  });
  const cut = (): void => {
    if (!raw.readableEnded) fail(unfinished());
  };
  raw.once("error", cut).once("close", cut);
  try {
    form.on("error", (error) => {
      fail(broken(wordsOf(error), error));
    });
    raw.pipe(form);
    if (raw.destroyed) cut();
    await ended;
    await last.catch(fail);
  } finally {
    raw.off("error", cut).off("close", cut);
  }
  if (failure) throw failure.error;
}

/** A form of one file, written when the form has been read to its end. @throws WireError, what `write` throws */
export async function writeForm(
  request: FastifyRequest,
  write: (content: Readable) => Promise<unknown>,
): Promise<void> {
  let found = false;
  await readForm(request, {
    maxParts: 1,
    hold: true,
    part: async ({ name, content }) => {
      if (name !== "file") throw unknownPart(name);
      found = true;
      await write(content);
    },
    field: (name) => {
      throw unknownPart(name);
    },
  });
  if (!found) throw wireError(400, "invalid_request", 'the form has no part "file"');
}

const unknownPart = (name: string): WireError =>
  wireError(
    400,
    "invalid_request",
    `the form has a part ${JSON.stringify(name.slice(0, 80))}: this call takes one part "file", with a file name`,
  );

function openForm(request: FastifyRequest, maxParts: number): busboy.Busboy {
  try {
    return busboy({
      headers: request.headers,
      defParamCharset: "utf8",
      // The limit is told when it is reached, not when it is passed.
      limits: { fieldSize: maxFieldBytes, parts: maxParts + 1, fileSize: maxUploadBytes },
    });
  } catch (error) {
    throw broken(wordsOf(error), error);
  }
}

const wordsOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

const nothing = async (): Promise<void> => undefined;

/** A part that is cut, by its end or by a limit, fails instead of ending. */
function whole(part: Readable, before: () => Promise<void>): Readable {
  const copy = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      done(null, chunk);
    },
    flush(done) {
      const isCut = (part as { truncated?: boolean }).truncated === true;
      if (isCut) {
        done(
          wireError(413, "file_error", `a file of the form is larger than ${String(maxUploadBytes)} bytes`),
        );
      } else
        before().then(() => {
          done();
        }, done);
    },
  });
  copy.on("error", () => undefined);
  const failed = (error: Error): void => {
    copy.destroy(error instanceof WireError ? error : broken(wordsOf(error), error));
  };
  const cut = (): void => {
    if (!part.readableEnded) failed(part.errored ?? new Error("it ends in the middle of a part"));
  };
  part.once("error", failed).once("close", cut);
  if (part.destroyed) cut();
  copy.once("close", () => {
    part.unpipe(copy);
    part.resume();
  });
  if (!part.destroyed) part.pipe(copy);
  return copy;
}
