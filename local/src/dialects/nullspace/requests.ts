/** Reads what every Nullspace request has: ids in its path, a key, a body. */
import { createHash } from "node:crypto";
import type { FastifyRequest } from "fastify";
import type { z } from "zod";
import type { IdempotentRequest } from "../../engine/control-plane";
import type { Violation } from "../../http-errors";
import { violation, violationsOf } from "../../http-violations";
import { invalid, wireError } from "./errors";
import { engineMachineId, engineSnapshotId } from "./ids";

const maxKeyLength = 255;
const maxNameLength = 255;
/** Names of variables as a shell exports them. */
const variableName = /^[A-Za-z_][A-Za-z0-9_]*$/;

// ---------------------------------------------------------------- path

export const param = (request: FastifyRequest, name: string): string =>
  (request.params as Record<string, string | undefined>)[name] ?? "";

/** @throws WireError 404: a text that no machine is called names none. */
export function machineOf(request: FastifyRequest): string {
  const id = param(request, "id");
  const found = engineMachineId(id);
  if (found === undefined) {
    throw wireError(404, "machine_not_found", `there is no machine ${JSON.stringify(short(id))}`);
  }
  return found;
}

/** @throws WireError 404 */
export function snapshotOf(request: FastifyRequest): string {
  const id = param(request, "id");
  const found = engineSnapshotId(id);
  if (found === undefined) {
    throw wireError(404, "snapshot_not_found", `there is no snapshot ${JSON.stringify(short(id))}`);
  }
  return found;
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** @throws WireError 404 */
export function uuidOf(request: FastifyRequest, name: string, what: string): string {
  const id = param(request, name);
  if (!uuid.test(id)) throw wireError(404, "not_found", `there is no ${what} ${JSON.stringify(short(id))}`);
  return id.toLowerCase();
}

/** @throws WireError 404 */
export function pidOf(request: FastifyRequest): number {
  const pid = param(request, "pid");
  if (!/^[1-9]\d{0,14}$/.test(pid)) {
    throw wireError(404, "not_found", `there is no process ${JSON.stringify(short(pid))}`);
  }
  return Number(pid);
}

/** @throws WireError 400 */
export function portOf(request: FastifyRequest): number {
  const text = param(request, "port");
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535) {
    throw invalid([violation("path.port", "must be a whole number from 1 to 65535")]);
  }
  return port;
}

const short = (text: string): string => (text.length > 80 ? `${text.slice(0, 80)}...` : text);

// ---------------------------------------------------------------- key

/**
 * How a mutation is made once. The hash covers method, path and the body as it was understood, so that one key cannot
 * mean two different calls.
 * @throws WireError 400: the key is missing or cannot be used
 */
export function idempotencyOf(request: FastifyRequest, body?: unknown): IdempotentRequest {
  const key = request.headers["idempotency-key"];
  if (typeof key !== "string" || !/^[\x20-\x7e]+$/.test(key) || key.length > maxKeyLength) {
    throw invalid([
      violation(
        "header.Idempotency-Key",
        `required: 1 to ${String(maxKeyLength)} printable characters, the same for every retry of one call`,
      ),
    ]);
  }
  const path = request.url.split("?", 1)[0] ?? "";
  const asked = JSON.stringify([request.method, path, body === undefined ? null : canonical(body)]);
  return { scope: "nullspace", key, requestHash: createHash("sha256").update(asked).digest("hex") };
}

/** The same value, with the names of every object in one order. */
export function canonical(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(canonical);
  if (typeof value !== "object" || value === null) return value;
  return Object.entries(value)
    .filter(([, part]) => part !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([name, part]) => [name, canonical(part)]);
}

// ---------------------------------------------------------------- body

/** The schema's own violations and those of `also`, one for each place. @throws WireError 400 */
export function parse<S extends z.ZodType>(
  schema: S,
  body: unknown,
  also: (fields: Record<string, unknown>) => Violation[] = () => [],
): z.output<S> {
  const isObject = typeof body === "object" && body !== null && !Array.isArray(body);
  const parsed = schema.safeParse(body);
  const errors = [
    ...(parsed.success ? [] : violationsOf(parsed.error, body, "body")),
    ...(isObject ? also(body as Record<string, unknown>) : []),
  ];
  if (!parsed.success || errors.length > 0) {
    throw invalid([...new Map(errors.map((error) => [error.location, error])).values()]);
  }
  return parsed.data;
}

/** @throws WireError 400: this call takes no body; an empty object is let through. */
export function requireNoBody({ body }: FastifyRequest): void {
  if (body === undefined || body === null) return;
  if (typeof body !== "object" || Object.keys(body).length > 0) {
    throw invalid([violation("body", "this call takes no body")]);
  }
}

/** The system's own calls end a text at a null byte. */
export const nulViolations = (location: string, value: unknown): Violation[] =>
  typeof value === "string" && value.includes("\0")
    ? [violation(location, "must not contain a null byte")]
    : [];

export function envsViolations(location: string, value: unknown): Violation[] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return [];
  return Object.entries(value).flatMap(([name, text]) => [
    ...(name.length <= maxNameLength && variableName.test(name)
      ? []
      : [
          violation(
            `${location}.${name}`,
            "a name has letters, digits and _, and does not begin with a digit",
          ),
        ]),
    ...nulViolations(`${location}.${name}`, text),
  ]);
}
