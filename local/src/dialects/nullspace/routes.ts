/** The Nullspace API below `/nullspace`. */
import type { FastifyInstance, FastifyPluginAsync } from "fastify";
import { fileRoutes } from "./file-routes";
import type { NullspaceDeps } from "./deps";

export const nullspaceRoutes =
  (deps: NullspaceDeps): FastifyPluginAsync =>
  async (app: FastifyInstance) => {
    await app.register(fileRoutes(deps));
  };
