/** What is asked about files in JSON: looked at, listed, moved, searched, and small ones read and written. */
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { z } from "zod";
import type { FileOptions } from "../../engine/files/api";
import { violation } from "../../http-violations";
import { invalid, notImplemented, wireError } from "./errors";
import type { FileLinks } from "./file-links";
import * as asks from "./file-requests";
import type { FileDeps } from "./file-routes";
import { Query } from "./query";
import { fileInfo, searchMatch } from "./render-file";
import { machineOf, parse } from "./requests";
import { living } from "./transitions";

const maxDepth = 1000;

export function fileJsonRoutes(app: FastifyInstance, deps: FileDeps & { links: FileLinks }): void {
  const { controlPlane, waiting, links } = deps;
  const { files } = controlPlane;

  /** A POST below `/files` whose body names the account. */
  const post = <S extends z.ZodType<{ user?: string | null | undefined }>>(
    name: string,
    schema: S,
    act: (call: { id: string; asked: z.output<S>; options: FileOptions; request: FastifyRequest }) => unknown,
    more: { bodyLimit?: number } = {},
  ): void => {
    app.post(`/v1/machines/:id/files/${name}`, more, async (request, reply) => {
      const id = machineOf(request);
      const asked = parse(schema, request.body);
      await living(controlPlane, id);
      const answer = await waiting.run(reply, { kind: "file", id }, async (signal) =>
        act({ id, asked, options: { signal, ...asks.asUser(asked.user) }, request }),
      );
      return answer === undefined ? reply.code(204).send() : answer;
    });
  };

  app.get("/v1/machines/:id/files", async (request, reply) => {
    const id = machineOf(request);
    const query = new Query(request, ["path", "depth", "user"]);
    const depth = query.whole("depth", { min: 1, max: maxDepth, absent: 1 });
    query.done();
    await living(controlPlane, id);
    const found = await waiting.run(reply, { kind: "file", id }, (signal) =>
      files.list(id, query.text("path") ?? "/", { signal, depth, ...asks.asUser(query.text("user")) }),
    );
    return found.map(fileInfo);
  });

  post("info", asks.pathRequest, async ({ id, asked, options }) =>
    fileInfo(await files.stat(id, asked.path, options)),
  );
  post("exists", asks.pathRequest, async ({ id, asked, options }) => ({
    exists: await files.exists(id, asked.path, options),
  }));
  post("mkdir", asks.pathRequest, ({ id, asked, options }) => files.makeFolder(id, asked.path, options));
  post("remove", asks.pathRequest, ({ id, asked, options }) => files.remove(id, asked.path, options));
  post("rename", asks.renameRequest, async ({ id, asked, options }) =>
    fileInfo(await files.rename(id, asked.old_path, asked.new_path, options)),
  );
  post("permissions", asks.permissionsRequest, ({ id, asked, options }) =>
    files.setPermissions(id, asked.path, asked.permissions, options),
  );
  post("find", asks.patternRequest, async ({ id, asked, options }) =>
    (await files.find(id, asked.path, asked.pattern, options)).map(searchMatch),
  );
  post("search", asks.patternRequest, ({ id, asked, options }) =>
    files.search(id, asked.path, asked.pattern, options),
  );
  post("replace", asks.replaceRequest, async ({ id, asked, options }) => {
    if (asked.dry_run === true) throw notImplemented("replacing as a dry run is");
    const done = await files.replace(id, asked.files, asked.pattern, asked.replacement, options);
    return {
      replacements: done.replacements,
      files_modified: done.filesModified,
      files_skipped: done.filesSkipped,
      binary_files_skipped: done.binaryFilesSkipped,
    };
  });

  post("read", asks.readRequest, async ({ id, asked, options }) => {
    const { size, content } = await files.read(id, asked.path, options);
    if (size > asks.maxJsonContentBytes) {
      content.destroy();
      throw tooLarge("the file");
    }
    const bytes = await buffer(content);
    const encoding = asked.encoding ?? "utf8";
    return { content: encoding === "utf8" ? asText(bytes) : bytes.toString("base64"), encoding, size };
  });
  post(
    "write",
    asks.writeRequest,
    async ({ id, asked, options }) => {
      const bytes = asBytes(asked.content, asked.encoding ?? "utf8");
      return fileInfo(await files.write(id, asked.path, Readable.from([bytes]), options));
    },
    { bodyLimit: asks.maxWriteBodyBytes },
  );

  post("download-url", asks.downloadUrlRequest, ({ id, asked, request }) => {
    if (typeof asked.archive_format === "string")
      throw notImplemented("downloading a folder as an archive is");
    return {
      url: links.make(request, { verb: "GET", id, path: asked.path, ...asks.asUser(asked.user) }).url,
    };
  });
  post("upload-url", asks.pathRequest, ({ id, asked, request }) =>
    links.make(request, { verb: "PUT", id, path: asked.path, ...asks.asUser(asked.user) }),
  );
}

const tooLarge = (what: string) =>
  wireError(
    413,
    "file_error",
    `${what} has more than ${String(asks.maxJsonContentBytes)} bytes, the most that goes in JSON: use GET or PUT /file`,
  );

/** @throws WireError 400 */
function asText(bytes: Buffer): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw wireError(400, "file_error", "the file is no UTF-8 text: ask for the encoding base64", { cause });
  }
}

/** @throws WireError 400, 413 */
function asBytes(content: string, encoding: "utf8" | "base64"): Buffer {
  if (encoding === "utf8" && !content.isWellFormed()) {
    throw invalid([violation("body.content", "must be Unicode text (half a surrogate pair in it)")]);
  }
  if (encoding === "base64" && !isBase64(content)) {
    throw invalid([violation("body.content", "must be base64, with its padding")]);
  }
  const bytes = Buffer.from(content, encoding);
  if (bytes.length > asks.maxJsonContentBytes) throw tooLarge("the content");
  return bytes;
}

const isBase64 = (text: string): boolean => text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text);
