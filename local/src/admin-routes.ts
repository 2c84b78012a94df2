/** Routes of our own, below `/local`: what runs here, and the fault script. */
import type { FastifyInstance, FastifyPluginAsync } from "fastify";
import { type Faults, faultScript } from "./faults";
import { invalid } from "./http-errors";
import { violationsOf } from "./http-violations";

export interface LocalStatus {
  version: string;
  pid: number;
  driver: string;
  /** What of a machine's size this host does not enforce. */
  notEnforced: readonly string[];
  /** Machines that are not destroyed. */
  machines: number;
  uptimeSeconds: number;
  stateDir: string;
}

export const adminRoutes =
  (deps: { faults: Faults; status: () => Promise<LocalStatus> }): FastifyPluginAsync =>
  async (app: FastifyInstance) => {
    app.get("/status", async () => deps.status());
    app.get("/faults", async () => deps.faults.current());
    app.put("/faults", async (request) => {
      const script = faultScript.safeParse(request.body);
      if (!script.success) throw invalid(violationsOf(script.error, request.body, "body"));
      deps.faults.replace(script.data);
      return deps.faults.current();
    });
    app.delete("/faults", async () => {
      deps.faults.replace({ rules: [] });
      return deps.faults.current();
    });
  };
