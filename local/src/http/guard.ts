/** Who may ask: the key, and the host that a browser was told. */
import { createHash, timingSafeEqual } from "node:crypto";
import type { FastifyRequest } from "fastify";

const digest = (text: string): Buffer => createHash("sha256").update(text).digest();

/** Compares in constant time, whatever the lengths. */
export class KeyGuard {
  private readonly expected: Buffer;

  constructor(apiKey: string) {
    this.expected = digest(apiKey);
  }

  /** "missing" without any key, "invalid" when one that was sent is wrong. */
  check(request: FastifyRequest): "ok" | "missing" | "invalid" {
    const bearer = /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? "")?.[1];
    const header = request.headers["x-api-key"];
    const keys = [bearer, typeof header === "string" ? header : undefined].filter((key) => key !== undefined);
    if (keys.length === 0) return request.headers.authorization === undefined ? "missing" : "invalid";
    return keys.every((key) => timingSafeEqual(digest(key), this.expected)) ? "ok" : "invalid";
  }
}

const loopbackName = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/i;

export const isLoopback = (host: string): boolean => loopbackName.test(host) || host === "::1";

/** True when the Host header names this machine: a page whose name was bound to 127.0.0.1 sends its own. */
export const namesLoopback = (request: FastifyRequest): boolean =>
  loopbackName.test(request.headers.host ?? "");
