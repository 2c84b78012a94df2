/** Reads what a DCS request asks for; refuses everything that is wrong with it at once. */
import { createHash } from "node:crypto";
import { DurationError, parseDuration } from "@pulumi-machines/sdk/duration";
import {
  createExecutionRequest,
  createMachineRequest,
  isMachineId,
  updateMachineRequest,
} from "@pulumi-machines/sdk/dedalus/wire";
import type { FastifyRequest } from "fastify";
import type { z } from "zod";
import type {
  IdempotentRequest,
  MachineChange,
  NewExecution,
  PageRequest,
  Precondition,
} from "../../engine/control-plane";
import type { MachineSize } from "../../engine/record";
import { invalid, problem, type Violation } from "../../http-errors";
import { violation, violationsOf } from "../../http-violations";
import { createDefaults, type Range, type SizeLimits } from "../../settings";
import { engineId } from "./render";

const maxKeyLength = 255;
const maxCursorLength = 200;
const maxRevisionLength = 100;
const defaultPageLimit = 100;
const maxPageLimit = 1000;
/** What a timer of the engine can count, in milliseconds: 24.8 days. */
const maxTimeoutMs = 2_147_483_647;

// ---------------------------------------------------------------- path, query, headers

/** @throws ApiError 422 located at path.machine_id */
export function machineOf(request: FastifyRequest): string {
  const { machine_id: id = "" } = request.params as { machine_id?: string };
  if (isMachineId(id)) return engineId(id);
  throw invalid([
    violation("path.machine_id", "must be dm- and then lower case letters, digits, hyphens", id),
  ]);
}

export const executionOf = (request: FastifyRequest): string =>
  (request.params as { execution_id?: string }).execution_id ?? "";

/** @throws ApiError 422 located at query.limit, query.cursor */
export function pageOf(request: FastifyRequest): PageRequest {
  const { limit, cursor } = request.query as { limit?: unknown; cursor?: unknown };
  const errors: Violation[] = [];
  const count =
    limit === undefined
      ? defaultPageLimit
      : typeof limit === "string" && /^\d{1,6}$/.test(limit)
        ? Number(limit)
        : 0;
  if (count < 1 || count > maxPageLimit) {
    errors.push(violation("query.limit", `must be a whole number from 1 to ${String(maxPageLimit)}`, limit));
  }
  if (cursor !== undefined && (typeof cursor !== "string" || cursor.length > maxCursorLength)) {
    errors.push(violation("query.cursor", "must be a cursor of an earlier page", cursor));
  }
  if (errors.length > 0) throw invalid(errors);
  return { limit: count, ...(typeof cursor === "string" && cursor !== "" ? { cursor } : {}) };
}

/** The revision of If-Match: `"43"`, `43`, `W/"43"` or `*`. A text that is no revision matches none. */
export function preconditionOf(request: FastifyRequest): Precondition {
  const given = request.headers["if-match"]?.trim();
  if (given === undefined || given === "") return undefined;
  return (/^(?:W\/)?"(.*)"$/.exec(given)?.[1] ?? given).slice(0, maxRevisionLength);
}

/**
 * How the mutation is made once. The hash covers method, path and the body as it was understood; the scope is a family
 * of routes, so that one key cannot mean two different calls in it.
 * @throws ApiError 400 located at header.Idempotency-Key
 */
export function idempotencyOf(
  request: FastifyRequest,
  family: "machines" | "executions",
  body: unknown,
): IdempotentRequest {
  const key = request.headers["idempotency-key"];
  if (typeof key !== "string" || !/^[\x20-\x7e]+$/.test(key) || key.length > maxKeyLength) {
    const message = `required: 1 to ${String(maxKeyLength)} printable characters, the same for every retry of one call`;
    throw problem(400, "the Idempotency-Key header is missing or not usable", {
      errors: [violation("header.Idempotency-Key", message, key)],
    });
  }
  const path = request.url.split("?", 1)[0] ?? "";
  const asked = JSON.stringify([request.method, path, body === undefined ? null : canonical(body)]);
  return {
    scope: `dedalus:${family}`,
    key,
    requestHash: createHash("sha256").update(asked).digest("hex"),
  };
}

/** The same value, with the names of every object in one order. */
function canonical(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(canonical);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return entries.map(([name, part]) => [name, canonical(part)]);
}

/** @throws ApiError 422: this call takes no body; an empty object is let through. */
export function requireNoBody(request: FastifyRequest): void {
  const { body } = request;
  if (body === undefined || body === null) return;
  if (typeof body !== "object" || Object.keys(body).length > 0) {
    throw invalid([violation("body", "this call takes no body")]);
  }
}

// ---------------------------------------------------------------- bodies

export interface ReadOptions {
  limits: SizeLimits;
  /** Clients of the newest API generation may leave every size open. */
  sizesOptional: boolean;
}

/** @throws ApiError 422 with every violation */
export function newMachine(
  body: unknown,
  { limits, sizesOptional }: ReadOptions,
): MachineSize & { autosleepSeconds: number } {
  const asked = readMachine(sizesOptional ? updateMachineRequest : createMachineRequest, body, limits);
  return { ...createDefaults, ...asked };
}

/** @throws ApiError 422 with every violation */
export const machineChange = (body: unknown, limits: SizeLimits): MachineChange =>
  readMachine(updateMachineRequest, body, limits);

function readMachine(
  schema: typeof createMachineRequest | typeof updateMachineRequest,
  body: unknown,
  limits: SizeLimits,
): MachineChange {
  const parsed = parse(schema, body, (fields) => [
    ...sizeViolations("vcpu", fields["vcpu"], limits.vcpu, "vCPU"),
    ...quarterViolations(fields["vcpu"]),
    ...sizeViolations("memory_mib", fields["memory_mib"], limits.memoryMiB, "MiB"),
    ...sizeViolations("storage_gib", fields["storage_gib"], limits.storageGiB, "GiB"),
    ...autosleepViolations(fields["autosleep"]),
  ]);
  return {
    ...(parsed.vcpu === undefined ? {} : { vcpu: parsed.vcpu }),
    ...(parsed.memory_mib === undefined ? {} : { memoryMiB: parsed.memory_mib }),
    ...(parsed.storage_gib === undefined ? {} : { storageGiB: parsed.storage_gib }),
    ...(parsed.autosleep === undefined ? {} : { autosleepSeconds: parseDuration(parsed.autosleep) }),
  };
}

function sizeViolations(field: string, value: unknown, { min, max }: Range, unit: string): Violation[] {
  if (typeof value !== "number" || (value >= min && value <= max)) return [];
  return [violation(`body.${field}`, `must be from ${String(min)} to ${String(max)} ${unit}`, value)];
}

function quarterViolations(value: unknown): Violation[] {
  if (typeof value !== "number" || Number.isInteger(value * 4)) return [];
  return [violation("body.vcpu", "must be in quarters: 0.25, 0.5, 0.75, 1, ...", value)];
}

function autosleepViolations(value: unknown): Violation[] {
  if (typeof value !== "string") return [];
  try {
    parseDuration(value);
    return [];
  } catch (error) {
    if (error instanceof DurationError) return [violation("body.autosleep", error.message, value)];
    throw error;
  }
}

/** @throws ApiError 422 with every violation */
export function newExecution(body: unknown): NewExecution {
  const parsed = parse(createExecutionRequest, body, (fields) => [
    ...commandViolations(fields["command"]),
    ...textViolations("body.cwd", fields["cwd"]),
    ...environmentViolations(fields["env"]),
    ...timeoutViolations(fields["timeout_ms"]),
  ]);
  return {
    command: parsed.command,
    env: parsed.env ?? {},
    ...(parsed.cwd === undefined ? {} : { cwd: parsed.cwd }),
    ...(parsed.stdin === undefined ? {} : { stdin: parsed.stdin }),
    ...(parsed.timeout_ms === undefined ? {} : { timeoutMs: parsed.timeout_ms }),
  };
}

function commandViolations(value: unknown): Violation[] {
  if (!Array.isArray(value)) return [];
  const words = value.flatMap((word, at) => nulViolations(`body.command.${String(at)}`, word));
  return value[0] === "" ? [violation("body.command.0", "must name a program", ""), ...words] : words;
}

function environmentViolations(value: unknown): Violation[] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return [];
  return Object.entries(value).flatMap(([name, text]) => [
    ...(name === "" || /[=\0]/.test(name)
      ? [violation(`body.env.${name}`, "a name has at least one character, no = and no null byte")]
      : []),
    ...nulViolations(`body.env.${name}`, text),
  ]);
}

const textViolations = (location: string, value: unknown): Violation[] =>
  value === "" ? [violation(location, "must not be empty", value)] : nulViolations(location, value);

/** The system's own calls end a text at a null byte. */
const nulViolations = (location: string, value: unknown): Violation[] =>
  typeof value === "string" && value.includes("\0")
    ? [violation(location, "must not contain a null byte")]
    : [];

const timeoutViolations = (value: unknown): Violation[] =>
  typeof value === "number" && value > maxTimeoutMs
    ? [violation("body.timeout_ms", `must be at most ${String(maxTimeoutMs)}`, value)]
    : [];

/** The schema's own violations and those of `also`, one for each place. */
function parse<S extends z.ZodType>(
  schema: S,
  body: unknown,
  also: (fields: Record<string, unknown>) => Violation[],
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
