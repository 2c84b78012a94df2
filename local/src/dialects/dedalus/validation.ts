/** What a request must look like. Every fault of a request is found at once and named by its place. */
import { createHash } from "node:crypto";
import { DurationError, parseDuration } from "@pulumi-machines/sdk/duration";
import {
  createExecutionRequest,
  createMachineRequest,
  isMachineId,
  updateMachineRequest,
  type UpdateMachineRequest,
} from "@pulumi-machines/sdk/dedalus/wire";
import type { FastifyRequest } from "fastify";
import { z } from "zod";
import type {
  IdempotentRequest,
  MachineChange,
  NewExecution,
  PageRequest,
  Precondition,
} from "../../engine/control-plane";
import type { MachineSize } from "../../engine/record";
import { Problem, type ProblemDetail, shown } from "../../http/problem";

/** Smallest and largest machine; the contract gives no numbers. */
export interface SizeLimits {
  vcpu: readonly [number, number];
  memoryMiB: readonly [number, number];
  storageGiB: readonly [number, number];
}

export const defaultLimits: SizeLimits = {
  vcpu: [0.25, 16],
  memoryMiB: [256, 65_536],
  storageGiB: [1, 1024],
};

/** Seconds of autosleep where a create names none. */
const defaultAutosleepSeconds = 300;
/** What the newest API generation's empty create makes. */
const newestDefaults = { vcpu: 1, memory_mib: 2048, storage_gib: 10 };

const maxKeyLength = 255;
const maxPageSize = 1_000;
const defaultPageSize = 100;
/** Arguments and environment go through the system's own limit on both together. */
const maxTextLength = 131_072;

const refuse = (errors: ProblemDetail[]): never => {
  throw new Problem(422, "validation failed", errors);
};

function valueAt(body: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, name) =>
      typeof value === "object" && value !== null ? (value as Record<PropertyKey, unknown>)[name] : undefined,
    body,
  );
}

function faultsOf<T>(schema: z.ZodType<T>, body: unknown): { data?: T; errors: ProblemDetail[] } {
  const result = schema.safeParse(body);
  if (result.success) return { data: result.data, errors: [] };
  return {
    errors: result.error.issues.flatMap((issue): ProblemDetail[] => {
      if (issue.code === "unrecognized_keys") {
        return issue.keys.map((key) => ({
          message: "unknown field",
          location: ["body", ...issue.path, key.slice(0, 100)].join("."),
        }));
      }
      return [
        {
          message: issue.message,
          location: ["body", ...issue.path].join("."),
          ...shown(valueAt(body, issue.path)),
        },
      ];
    }),
  };
}

function sizeFaults(body: unknown, limits: SizeLimits): ProblemDetail[] {
  if (typeof body !== "object" || body === null) return [];
  const fields = body as Record<string, unknown>;
  const errors: ProblemDetail[] = [];
  const check = (name: string, [least, most]: readonly [number, number], unit: string) => {
    const value = fields[name];
    if (typeof value === "number" && Number.isFinite(value) && (value < least || value > most)) {
      errors.push({
        message: `must be from ${String(least)} to ${String(most)}${unit}`,
        location: `body.${name}`,
        value,
      });
    }
  };
  check("vcpu", limits.vcpu, "");
  check("memory_mib", limits.memoryMiB, " MiB");
  check("storage_gib", limits.storageGiB, " GiB");
  const { vcpu, autosleep } = fields;
  if (typeof vcpu === "number" && Number.isFinite(vcpu) && !Number.isInteger(vcpu * 4)) {
    errors.push({ message: "must be a multiple of 0.25", location: "body.vcpu", value: vcpu });
  }
  if (typeof autosleep === "string") {
    try {
      parseDuration(autosleep);
    } catch (error) {
      if (!(error instanceof DurationError)) throw error;
      errors.push({ message: error.message, location: "body.autosleep", ...shown(autosleep) });
    }
  }
  return errors;
}

function machineBody<T>(schema: z.ZodType<T>, body: unknown, limits: SizeLimits): T {
  const { data, errors } = faultsOf(schema, body);
  const all = [...errors, ...sizeFaults(body, limits)];
  return data === undefined || all.length > 0 ? refuse(all) : data;
}

/** @throws Problem 422 */
export function parseCreate(
  body: unknown,
  { limits, flatPhase }: { limits: SizeLimits; flatPhase: boolean },
): MachineSize & { autosleepSeconds: number } {
  const given =
    flatPhase && (body === undefined || (typeof body === "object" && body !== null && !Array.isArray(body)))
      ? { ...newestDefaults, ...body }
      : body;
  const wire = machineBody(createMachineRequest, given, limits);
  return {
    vcpu: wire.vcpu,
    memoryMiB: wire.memory_mib,
    storageGiB: wire.storage_gib,
    autosleepSeconds: wire.autosleep === undefined ? defaultAutosleepSeconds : parseDuration(wire.autosleep),
  };
}

/** @throws Problem 422 */
export function parseUpdate(body: unknown, limits: SizeLimits): MachineChange {
  const wire: UpdateMachineRequest = machineBody(updateMachineRequest, body, limits);
  return {
    ...(wire.vcpu === undefined ? {} : { vcpu: wire.vcpu }),
    ...(wire.memory_mib === undefined ? {} : { memoryMiB: wire.memory_mib }),
    ...(wire.storage_gib === undefined ? {} : { storageGiB: wire.storage_gib }),
    ...(wire.autosleep === undefined ? {} : { autosleepSeconds: parseDuration(wire.autosleep) }),
  };
}

/** @throws Problem 422 */
export function parseExecution(body: unknown): NewExecution {
  const { data, errors } = faultsOf(createExecutionRequest, body);
  if (data === undefined) return refuse(errors);
  const clean = (text: string, location: string) => {
    if (text.includes("\0")) errors.push({ message: "must not contain a zero byte", location });
    if (text.length > maxTextLength) errors.push({ message: "is too long for the system", location });
  };
  data.command.forEach((word, at) => {
    clean(word, `body.command.${String(at)}`);
  });
  if (data.command[0] === "") errors.push({ message: "must name a program", location: "body.command.0" });
  for (const [name, value] of Object.entries(data.env ?? {})) {
    clean(name + value, "body.env");
    if (name === "" || name.includes("=")) {
      errors.push({
        message: 'names must not be empty or contain "="',
        location: "body.env",
        ...shown(name),
      });
    }
  }
  if (data.cwd !== undefined) {
    clean(data.cwd, "body.cwd");
    if (!data.cwd.startsWith("/")) {
      errors.push({ message: "must be an absolute path", location: "body.cwd", ...shown(data.cwd) });
    }
  }
  if (errors.length > 0) refuse(errors);
  return {
    command: data.command,
    env: data.env ?? {},
    ...(data.cwd === undefined ? {} : { cwd: data.cwd }),
    ...(data.stdin === undefined ? {} : { stdin: data.stdin }),
    ...(data.timeout_ms === undefined ? {} : { timeoutMs: data.timeout_ms }),
  };
}

/** The engine's id of a machine. @throws Problem 422 */
export function parseMachineId(text: string): string {
  if (!isMachineId(text)) {
    refuse([
      { message: 'must be a machine id such as "dm-a1b2c3"', location: "path.machine_id", ...shown(text) },
    ]);
  }
  return text.slice("dm-".length);
}

const pageQuery = z.object({
  limit: z.coerce.number().int().min(1).max(maxPageSize).default(defaultPageSize),
  cursor: z.string().min(1).max(200).optional(),
});

/** @throws Problem 422 */
export function parsePage(query: unknown): PageRequest {
  const result = pageQuery.safeParse(query);
  if (!result.success) {
    return refuse(
      result.error.issues.map((issue) => ({
        message: issue.message,
        location: ["query", ...issue.path].join("."),
      })),
    );
  }
  const { limit, cursor } = result.data;
  return { limit, ...(cursor === undefined ? {} : { cursor }) };
}

/** `"43"`, `43`, `W/"43"` or `*`. */
export function parseIfMatch(request: FastifyRequest): Precondition {
  const header = request.headers["if-match"];
  return header === undefined
    ? undefined
    : header
        .trim()
        .replace(/^W\//, "")
        .replace(/^"(.*)"$/, "$1");
}

/** The same request always has the same hash, in whatever order its fields come. */
function hashOf(request: FastifyRequest): string {
  const sorted = (_name: string, value: unknown): unknown =>
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value;
  const path = request.url.split("?")[0];
  const asked = [request.method, path, request.body ?? null];
  return createHash("sha256").update(JSON.stringify(asked, sorted)).digest("hex");
}

/** @throws Problem 400 without a usable Idempotency-Key. */
export function parseIdempotency(request: FastifyRequest): IdempotentRequest {
  const key = request.headers["idempotency-key"];
  if (typeof key !== "string" || key === "" || key.length > maxKeyLength) {
    const message = `this call needs an Idempotency-Key header of 1 to ${String(maxKeyLength)} characters`;
    throw new Problem(400, message, [{ message, location: "header.Idempotency-Key" }]);
  }
  return { scope: "dedalus", key, requestHash: hashOf(request) };
}
