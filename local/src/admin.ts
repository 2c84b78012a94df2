/** The control plane's own routes, under /local: what it is, and the fault script in force. */
import type { FastifyInstance, FastifyPluginCallback } from "fastify";
import { type Faults, faultScript } from "./faults";
import { Problem } from "./http/problem";

export interface AdminOptions {
  faults: Faults;
  describe: () => Promise<Record<string, unknown>>;
}

export const adminRoutes =
  ({ faults, describe }: AdminOptions): FastifyPluginCallback =>
  (server: FastifyInstance, _options, done) => {
    server.get("/status", describe);
    server.get("/faults", () => faults.current());
    server.put("/faults", (request) => {
      const script = faultScript.safeParse(request.body);
      if (!script.success) {
        throw new Problem(
          422,
          "the fault script has mistakes",
          script.error.issues.map((issue) => ({
            message: issue.message,
            location: ["body", ...issue.path].join("."),
          })),
        );
      }
      faults.replace(script.data);
      return faults.current();
    });
    server.delete("/faults", () => {
      faults.replace({ rules: [] });
      return faults.current();
    });
    done();
  };
