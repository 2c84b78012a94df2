/** Who may ask: the key, the organization, and, on loopback, only programs that know that they speak to this host. */
import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { refused } from "./http-errors";
import { isLoopback } from "./settings";

const digest = (text: string): Buffer => createHash("sha256").update(text).digest();

/** Checks `Authorization: Bearer` and `x-api-key`, in a time that says nothing about the key. */
export class KeyCheck {
  private readonly expected: Buffer;

  constructor(apiKey: string) {
    this.expected = digest(apiKey);
  }

  /** @throws ApiError 401 AUTH_REQUIRED, AUTH_INVALID */
  require(headers: IncomingHttpHeaders): void {
    const bearer = /^Bearer +(.+)$/i.exec(headers.authorization ?? "")?.[1];
    const plain = headers["x-api-key"];
    const given = [bearer, typeof plain === "string" ? plain : undefined].filter((key) => key !== undefined);
    if (given.length === 0) throw denied("AUTH_REQUIRED", "missing Dedalus API key");
    if (!given.some((key) => timingSafeEqual(digest(key.trim()), this.expected))) {
      throw denied("AUTH_INVALID", "invalid Dedalus API key");
    }
  }
}

const denied = (code: string, message: string) =>
  refused(
    401,
    { error_code: code, message, retryable: false },
    { headers: { "www-authenticate": 'Bearer realm="machines-local"' } },
  );

/** @throws ApiError 403 AUTH_ORG_MISMATCH */
export function requireOrganization(headers: IncomingHttpHeaders, organizationId: string | undefined): void {
  const given = headers["x-dedalus-org-id"];
  if (organizationId === undefined || given === undefined || given === organizationId) return;
  throw refused(403, {
    error_code: "AUTH_ORG_MISMATCH",
    message: "org scope does not match API key ownership",
    retryable: false,
  });
}

/**
 * A web page can make its own host name point to 127.0.0.1 and so reach a server on loopback from a browser; its
 * requests still carry its name. There are no CORS headers either.
 * @throws ApiError 403 HOST_NOT_ALLOWED
 */
export function requireOwnHost(headers: IncomingHttpHeaders, boundTo: string): void {
  if (!isLoopback(boundTo)) return;
  const host = (headers.host ?? "").replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1");
  if (isLoopback(host.toLowerCase())) return;
  throw refused(403, {
    error_code: "HOST_NOT_ALLOWED",
    message: "this control plane listens on loopback: ask for it as 127.0.0.1, localhost or [::1]",
    retryable: false,
  });
}
