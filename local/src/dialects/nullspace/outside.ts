/**
 * What the embedded control plane leaves out of the vendor's API: every path of the published document that is not served,
 * and the groups that only the vendor's own clients know. All answer 501, so that a client can tell what is missing from what
 * does not exist. Named in docs/differences.md.
 */
import type { FastifyInstance } from "fastify";
import { notImplemented } from "./errors";

/** Paths and methods as the published document has them. */
const documented: Record<string, Record<string, string>> = {
  "keys and accounts": {
    "/v1/account": "DELETE",
    "/v1/account/export": "GET",
    "/v1/account/me": "GET PATCH",
    "/v1/keys": "POST GET",
    "/v1/keys/default": "POST",
    "/v1/keys/:id": "DELETE",
    "/v1/keys/:id/rotate": "POST",
  },
  "preview URLs": {
    "/v1/machines/:id/ports/:port/preview-proxy-target": "POST",
    "/v1/machines/:id/ports/:port/preview-url": "GET",
    "/v1/machines/:id/ports/:port/signed-preview-url": "POST",
    "/v1/machines/:id/preview-urls": "GET",
    "/v1/machines/:id/preview-urls/:grant_id": "DELETE",
  },
  "SSH access": {
    "/v1/machines/:id/ssh-access": "POST",
  },
  volumes: {
    "/v1/machines/:id/volumes": "POST GET",
    "/v1/machines/:id/volumes/:attachment_id": "DELETE",
    "/v1/machines/:id/volumes/:attachment_id/health": "GET",
    "/v1/machines/:id/volumes/:attachment_id/remount": "POST",
    "/v1/volumes": "POST GET",
    "/v1/volumes/by-name/:name": "GET",
    "/v1/volumes/:id": "DELETE GET",
    "/v1/volumes/:id/attachments": "GET",
    "/v1/volumes/:id/file": "GET PUT POST",
    "/v1/volumes/:id/files": "GET",
    "/v1/volumes/:id/files/download-url": "POST",
    "/v1/volumes/:id/files/exists": "POST",
    "/v1/volumes/:id/files/find": "POST",
    "/v1/volumes/:id/files/info": "POST",
    "/v1/volumes/:id/files/mkdir": "POST",
    "/v1/volumes/:id/files/permissions": "POST",
    "/v1/volumes/:id/files/read": "POST",
    "/v1/volumes/:id/files/remove": "POST",
    "/v1/volumes/:id/files/rename": "POST",
    "/v1/volumes/:id/files/replace": "POST",
    "/v1/volumes/:id/files/search": "POST",
    "/v1/volumes/:id/files/upload-url": "POST",
    "/v1/volumes/:id/files/write": "POST",
    "/v1/volumes/:id/uploads": "POST",
    "/v1/volumes/:id/uploads/:upload_id": "DELETE GET",
    "/v1/volumes/:id/uploads/:upload_id/complete": "POST",
    "/v1/volumes/:id/uploads/:upload_id/parts/:part_number": "PUT",
    "/v1/volumes/:id/ws": "GET",
  },
  "warm pools": {
    "/v1/template-warm-pools": "POST GET",
    "/v1/template-warm-pools/:warm_pool_id": "DELETE GET PATCH",
    "/v1/template-warm-pools/:warm_pool_id/disable": "POST",
    "/v1/template-warm-pools/:warm_pool_id/drain": "POST",
    "/v1/template-warm-pools/:warm_pool_id/enable": "POST",
    "/v1/template-warm-pools/:warm_pool_id/reconcile": "POST",
    "/v1/template-warm-pools/:warm_pool_id/status": "GET",
  },
  templates: {
    "/v1/templates": "POST GET",
    "/v1/templates/blobs/preflight": "POST",
    "/v1/templates/blobs/:blob_id": "PUT",
    "/v1/templates/build": "POST",
    "/v1/templates/builds": "POST",
    "/v1/templates/builds/:build_id": "GET",
    "/v1/templates/builds/:build_id/cancel": "POST",
    "/v1/templates/builds/:build_id/logs": "GET",
    "/v1/templates/builds/:build_id/promote": "POST",
    "/v1/templates/builds/:build_id/retry": "POST",
    "/v1/templates/claims": "POST",
    "/v1/templates/claims/:claim_token": "DELETE",
    "/v1/templates/namespaces/:slug": "GET",
    "/v1/templates/plan": "POST",
    "/v1/templates/refs/:ref": "DELETE GET",
    "/v1/templates/refs/:ref/aliases": "GET",
    "/v1/templates/refs/:ref/aliases/:alias": "DELETE",
    "/v1/templates/refs/:ref/builds": "GET",
    "/v1/templates/refs/:ref/rename": "POST",
    "/v1/templates/refs/:ref/tags": "POST GET",
    "/v1/templates/refs/:ref/tags/:tag": "DELETE",
    "/v1/templates/refs/:ref/visibility": "PATCH",
    "/v1/templates/validate": "POST",
    "/v1/templates/:id": "DELETE GET",
    "/v1/templates/:id/aliases": "GET",
    "/v1/templates/:id/aliases/:alias": "DELETE",
    "/v1/templates/:id/builds": "GET",
    "/v1/templates/:id/rename": "POST",
    "/v1/templates/:id/tags": "POST GET",
    "/v1/templates/:id/tags/:tag": "DELETE",
    "/v1/templates/:id/visibility": "PATCH",
  },
};

/** Groups that are not in the published document: whatever is below these paths. */
const undocumented: Record<string, string[]> = {
  functions: ["/v1/functions", "/v1/function-webhooks"],
  "secrets and environments": ["/v1/secrets", "/v1/environments"],
  git: ["/v1/machines/:id/git"],
  "the code interpreter": ["/v1/machines/:id/code"],
  desktops: ["/v1/machines/:id/desktop"],
  "administration and telemetry": ["/v1/admin", "/v1/telemetry"],
};

const everyMethod = ["GET", "POST", "PUT", "PATCH", "DELETE"];

export function outsideRoutes(app: FastifyInstance): void {
  const missing = (group: string, methods: string[], url: string) => {
    app.route({
      method: methods,
      url,
      handler: async () => {
        const verb = /^(the|SSH)/.test(group) ? "is" : "are";
        throw notImplemented(`${group} ${verb}`);
      },
    });
  };
  for (const [group, paths] of Object.entries(documented)) {
    for (const [path, methods] of Object.entries(paths)) missing(group, methods.split(" "), path);
  }
  for (const [group, paths] of Object.entries(undocumented)) {
    for (const path of paths) {
      missing(group, everyMethod, path);
      missing(group, everyMethod, `${path}/*`);
    }
  }
}
