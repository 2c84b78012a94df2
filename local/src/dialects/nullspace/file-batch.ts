/** Many files in one form: the manifest first, then a part for each file, in any order. */
import { buffer } from "node:stream/consumers";
import type { FastifyInstance } from "fastify";
import type { z } from "zod";
import { Refusal } from "../../engine/control-plane";
import { type WireError, wireError } from "./errors";
import { isForm } from "./file-body";
import { type FormPart, readForm } from "./file-form";
import { asUser, manifestRequest, maxFilesAtOnce } from "./file-requests";
import type { FileDeps } from "./file-routes";
import { fileInfo } from "./render-file";
import { machineOf, parse } from "./requests";
import { living } from "./transitions";

const maxManifestBytes = 1_048_576;

type Manifest = z.infer<typeof manifestRequest>;
type Entry =
  { status: "success"; path: string; info: unknown } | { status: "error"; path: string; error: string };

/** Each file is written by itself, whole: one that cannot be is told in its place. */
export function fileBatch(app: FastifyInstance, { controlPlane, waiting }: FileDeps): void {
  app.post("/v1/machines/:id/files/batch-write", async (request, reply) => {
    const id = machineOf(request);
    if (!isForm(request))
      throw wireError(415, "invalid_request", "send a form: Content-Type: multipart/form-data");
    await living(controlPlane, id);
    const entries = new Map<string, Entry>();
    let manifest: Manifest | undefined;
    await waiting.run(reply, { kind: "transfer", id }, async (signal) => {
      const write = async ({ name, content }: FormPart, asked: Manifest): Promise<void> => {
        const file = asked.files.find(({ field }) => field === name);
        if (!file) throw refused(`the manifest names no field ${JSON.stringify(name.slice(0, 80))}`);
        if (entries.has(name)) throw refused(`the form has two parts ${JSON.stringify(name.slice(0, 80))}`);
        try {
          const options = { signal, ...asUser(asked.user) };
          const info = fileInfo(await controlPlane.files.write(id, file.path, content, options));
          entries.set(name, { status: "success", path: file.path, info });
        } catch (error) {
          if (!(error instanceof Refusal) || !ownFailures.has(error.code)) throw error;
          content.destroy();
          entries.set(name, { status: "error", path: file.path, error: error.message });
        }
      };
      await readForm(request, {
        maxParts: maxFilesAtOnce + 1,
        part: async (part) => {
          if (manifest) await write(part, manifest);
          else if (part.name === "manifest") manifest = readManifest(await manifestOf(part));
          else throw refused("the manifest must be the first part");
        },
        field: (name, text) => {
          if (name !== "manifest" || manifest)
            throw refused(`${JSON.stringify(name.slice(0, 80))} is no file`);
          manifest = readManifest(text);
        },
      });
    });
    if (!manifest) throw refused('there is no part "manifest"');
    return {
      results: manifest.files.map(
        ({ path, field }): Entry =>
          entries.get(field) ?? {
            status: "error",
            path,
            error: `the form has no part ${JSON.stringify(field)}`,
          },
      ),
    };
  });
}

/** What one file fails with while the others may be written. */
const ownFailures = new Set([
  "file_not_found",
  "file_exists",
  "file_refused",
  "file_failed",
  "invalid_argument",
]);

const refused = (why: string): WireError => wireError(400, "invalid_request", `the form is refused: ${why}`);

async function manifestOf({ content }: FormPart): Promise<string> {
  let bytes = 0;
  content.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > maxManifestBytes)
      content.destroy(refused(`the manifest is larger than ${String(maxManifestBytes)} bytes`));
  });
  return (await buffer(content)).toString("utf8");
}

/** @throws WireError 400 */
function readManifest(text: string): Manifest {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw wireError(400, "invalid_request", "the form is refused: the manifest is no JSON", { cause });
  }
  const manifest = parse(manifestRequest, value);
  if (new Set(manifest.files.map(({ field }) => field)).size < manifest.files.length) {
    throw refused("the manifest names a field twice");
  }
  return manifest;
}
