/** The DCS API below `/dedalus`: every machine and execution route of the contract. */
import type { FastifyInstance, FastifyPluginAsync } from "fastify";
import { problem } from "../../http-errors";
import type { DedalusDeps } from "./deps";
import { executionRoutes } from "./execution-routes";
import { machineRoutes } from "./machine-routes";
import { toApiError } from "./refusals";
import { machineOf, pageOf } from "./requests";

export const dedalusRoutes =
  (deps: DedalusDeps): FastifyPluginAsync =>
  async (app: FastifyInstance) => {
    app.setErrorHandler((error) => {
      // To the server's own handler, which sends both envelopes.
      throw toApiError(error);
    });
    machineRoutes(app, deps);
    executionRoutes(app, deps);
    artifactRoutes(app, deps);
    missingRoutes(app);
  };

/** Machines here make no artifacts: the list is empty, and no artifact exists. */
function artifactRoutes(app: FastifyInstance, { controlPlane }: DedalusDeps): void {
  app.get("/v1/machines/:machine_id/artifacts", async (request) => {
    pageOf(request);
    await controlPlane.machines.get(machineOf(request));
    return { items: [] };
  });
  for (const method of ["GET", "DELETE"] as const) {
    app.route({
      method,
      url: "/v1/machines/:machine_id/artifacts/:artifact_id",
      handler: async (request) => {
        await controlPlane.machines.get(machineOf(request));
        throw problem(404, "this machine has no such artifact");
      },
    });
  }
}

/** Routes of the contract that the embedded control plane does not serve; named in docs/differences.md. */
const missing = {
  previews: ["", "/:preview_id"],
  ssh: ["", "/:session_id"],
  terminals: ["", "/:terminal_id", "/:terminal_id/stream"],
} as const;

function missingRoutes(app: FastifyInstance): void {
  for (const [name, paths] of Object.entries(missing)) {
    for (const path of paths) {
      const methods = path === "" ? ["GET", "POST"] : path.endsWith("/stream") ? ["GET"] : ["GET", "DELETE"];
      for (const method of methods) {
        app.route({
          method,
          url: `/v1/machines/:machine_id/${name}${path}`,
          handler: async () => {
            throw problem(501, `${name} are not implemented by the embedded control plane`, {
              headers: { "x-should-retry": "false" },
            });
          },
        });
      }
    }
  }
}
