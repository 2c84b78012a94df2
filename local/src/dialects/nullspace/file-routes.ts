/** Files of a machine over HTTP. */
import type { FastifyPluginAsync } from "fastify";
import type { NullspaceDeps } from "./deps";

/** A scope of its own, since its bodies are no JSON. */
export const fileRoutes =
  (_deps: NullspaceDeps): FastifyPluginAsync =>
  async () =>
    undefined;
