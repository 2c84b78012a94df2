/**
 * Asks the service from within a program: settings from the stack's configuration and the environment, as the resources
 * have them. Opened for one question and closed after it, so that the program can end.
 */
import * as pulumi from "@pulumi/pulumi";
import type { z } from "zod";
import { checkArgs, type CheckFailure } from "../check-args";
import { MachineGoneError, type ControlPlane } from "../controlplane/port";
import { messageOf } from "../failure-report";
import { spanOf } from "../history";
import { oneLine } from "../one-line";
import { readSettings } from "../settings";

const allowedMs = 60_000;

/** A function could not answer. Pulumi prints the message alone: the place in our code helps nobody. */
export class FunctionError extends pulumi.RunError {
  constructor(message: string, options?: ErrorOptions) {
    super(oneLine(message));
    this.cause = options?.cause;
  }
}

export interface Question<Schema extends z.ZodObject> {
  /** Of the function, for messages. */
  name: string;
  schema: Schema;
  args: unknown;
}

/** @throws FunctionError that names the function, and the backend where there is one */
export async function ask<Schema extends z.ZodObject, T>(
  { name, schema, args }: Question<Schema>,
  answer: (plane: ControlPlane, args: z.output<Schema>, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { inputs, failures } = checkArgs(schema, { ...(args as object) }, { noun: name });
  if (failures.length > 0) {
    throw new FunctionError(`${name}: ${failures.map(wordsOf).join("; ")}`);
  }
  const plane = opened(name);
  const signal = AbortSignal.timeout(allowedMs);
  try {
    return await answer(plane, inputs as z.output<Schema>, signal);
  } catch (error) {
    if (error instanceof FunctionError) throw error;
    const why = signal.aborted ? `no answer within ${spanOf(allowedMs)}` : whyOf(error);
    throw new FunctionError(`${name}: the backend "${plane.backend}": ${why}`, { cause: error });
  } finally {
    await plane.close();
  }
}

/** A reason about something within an argument names the argument itself. */
const wordsOf = ({ property, reason }: CheckFailure): string =>
  reason.startsWith(`${property}.`) ? reason : `${property} ${reason}`;

const whyOf = (error: unknown): string =>
  error instanceof MachineGoneError ? `there is no machine ${error.machineId}` : messageOf(error);

function opened(name: string): ControlPlane {
  const config = new pulumi.Config("machines");
  try {
    const settings = readSettings((key) => config.get(key.replace(/^machines:/, "")), process.env);
    // eslint-disable-next-line @typescript-eslint/no-require-imports -- a program without functions needs no client
    const { openControlPlane } = require("../controlplane/open") as typeof import("../controlplane/open");
    return openControlPlane(settings, process.env);
  } catch (error) {
    throw new FunctionError(`${name}: ${messageOf(error)}`, { cause: error });
  }
}

/** The error of a filter, or a function, that the backend has nothing for. */
export const cannot = (name: string, { backend }: ControlPlane, why: string): FunctionError =>
  new FunctionError(`${name}: the backend "${backend}" ${why}`);
