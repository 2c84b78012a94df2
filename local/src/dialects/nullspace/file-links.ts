/**
 * Addresses with which anybody who has one may read or write one file for a while. The address carries its own proof, made
 * with the API key: nothing is kept, and a new key ends them all.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { z } from "zod";
import type { HttpSettings } from "../../settings";
import { wireError } from "./errors";
import { type FilePlace, receiveFile, sendFile } from "./file-content";
import type { FileDeps } from "./file-routes";
import { machineId } from "./ids";
import { Query } from "./query";
import { machineOf } from "./requests";

const lifetimeMs = 3_600_000;

interface Grant extends FilePlace {
  verb: "GET" | "PUT";
}

const grantText = z.object({
  verb: z.enum(["GET", "PUT"]),
  id: z.string(),
  path: z.string(),
  user: z.string().exactOptional(),
  until: z.number(),
});

export interface FileLinks {
  /** The address at which the request itself reached us. */
  make(request: FastifyRequest, grant: Grant): { url: string; token: string };
  /** @throws WireError 400, 401 */
  open(request: FastifyRequest, verb: Grant["verb"]): FilePlace;
}

export function fileLinks({ apiKey, host, port }: HttpSettings): FileLinks {
  const secret = createHmac("sha256", apiKey).update("nullspace file links").digest();
  const sign = (text: string): Buffer => createHmac("sha256", secret).update(text).digest();

  return {
    make: (request, grant) => {
      const text = Buffer.from(JSON.stringify({ ...grant, until: Date.now() + lifetimeMs })).toString(
        "base64url",
      );
      const token = `${text}.${sign(text).toString("base64url")}`;
      const base = `${request.protocol}://${request.headers.host ?? `${host}:${String(port)}`}`;
      const path = `/nullspace/v1/machines/${machineId(grant.id)}/signed-file?grant=${token}`;
      return { url: base + path, token };
    },
    open: (request, verb) => {
      const id = machineOf(request);
      const query = new Query(request, ["grant"]);
      const token = query.text("grant");
      if (token === undefined) query.refuse("grant", "required");
      query.done();
      const [text = "", proof = ""] = (token ?? "").split(".");
      const given = Buffer.from(proof, "base64url");
      const expected = sign(text);
      if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
        throw wireError(401, "unauthorized", "this address was not made here, or with another API key");
      }
      const { until, ...grant } = grantText.parse(
        JSON.parse(Buffer.from(text, "base64url").toString("utf8")),
      );
      if (grant.id !== id || grant.verb !== verb) {
        throw wireError(401, "unauthorized", `this address is not one to ${verb} this machine's file`);
      }
      if (until <= Date.now()) {
        throw wireError(401, "unauthorized", "this address has expired: ask for a new one");
      }
      return grant;
    },
  };
}

/** They need no key: see the server's public routes. */
export function signedFileRoutes(app: FastifyInstance, deps: FileDeps & { links: FileLinks }): void {
  app.get("/v1/machines/:id/signed-file", async (request, reply) =>
    sendFile(deps, reply, deps.links.open(request, "GET")),
  );
  app.put("/v1/machines/:id/signed-file", async (request, reply) =>
    receiveFile(deps, request, reply, deps.links.open(request, "PUT")),
  );
}
