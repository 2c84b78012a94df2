/** What the calls to a Nullspace service share: paths, keys, names of members on the wire. */
import { randomUUID } from "node:crypto";
import { z } from "zod";
import type { Call, CallOptions, MutationOptions } from "../call";
import { segment } from "../answers";
import { UsageError } from "../errors";
import { timeLimits } from "./time-limits";

export const machinePath = (machineId: string, below = ""): string =>
  `/v1/machines/${segment("machine id", machineId)}${below}`;

/** The caller's key, or a new UUID: made before the first attempt, the same for all of them. */
export const withKey = (options: MutationOptions | undefined): MutationOptions => ({
  ...options,
  idempotencyKey: options?.idempotencyKey ?? randomUUID(),
});

/** Options of a change that carries no key. */
export const withoutKey = ({ signal, timeoutMs }: CallOptions = {}): CallOptions => ({ signal, timeoutMs });

/** Repeats and long requests need more than the usual limit of a whole call. */
export const withWhole = (options: MutationOptions): MutationOptions => ({
  ...options,
  timeoutMs: options.timeoutMs ?? timeLimits.wholeRecoveryMs,
});

/** Without the members that are undefined. */
export const given = <T extends object>(members: T): Partial<T> =>
  Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as Partial<T>;

/** `timeoutMs` as `timeout_ms`. */
export const snakeCase = (name: string): string =>
  name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** For answers without a body, and those whose body says nothing more. */
export const anyAnswer = z.unknown();

/** @throws UsageError `invalid_argument` unless it is a whole number from `min` to `max` */
export function wholeNumber(what: string, value: number, min: number, max: number): number {
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new UsageError({
    message: `${what} must be a whole number from ${String(min)} to ${String(max)}, not ${String(value)}`,
    code: "invalid_argument",
  });
}

/** A call on a machine that carries no key. */
export const machineCall = (
  /** Without the machine: `read the logs of process 7 in`. */
  verb: string,
  method: Call["method"],
  machineId: string,
  below: string,
  rest: Partial<Call>,
): Call => ({
  ...rest,
  keyed: false,
  what: `${verb} machine ${machineId}`,
  machineId,
  method,
  path: machinePath(machineId, below),
});
