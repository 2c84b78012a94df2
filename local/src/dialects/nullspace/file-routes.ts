/** Files of a machine over HTTP. */
import type { FastifyPluginAsync } from "fastify";
import { fileBatch } from "./file-batch";
import { rawBodies } from "./file-body";
import { fileContentRoutes } from "./file-content";
import { fileJsonRoutes } from "./file-json-routes";
import { fileLinks, signedFileRoutes } from "./file-links";
import { partRoutes, uploadRoutes } from "./file-upload-routes";
import { openUploads } from "./file-uploads";
import type { NullspaceDeps } from "./deps";
import type { Waiting } from "./waiting";

export type FileDeps = NullspaceDeps & { waiting: Waiting };

export const fileRoutes =
  (deps: FileDeps): FastifyPluginAsync =>
  async (app) => {
    const uploads = await openUploads(deps, (error) => {
      app.log.error({ err: error }, "uploads in parts");
    });
    app.addHook("preClose", async () => {
      uploads.close();
    });
    const links = fileLinks(deps.settings);
    fileJsonRoutes(app, { ...deps, links });
    uploadRoutes(app, { ...deps, uploads });
    // Scopes of their own: their bodies are not JSON, and not read before the route asks for them.
    await app.register(async (raw) => {
      rawBodies(raw);
      fileContentRoutes(raw, deps);
      fileBatch(raw, deps);
      signedFileRoutes(raw, { ...deps, links });
      partRoutes(raw, { ...deps, uploads });
    });
  };
