/**
 * The name by which a command of a Nullspace machine is found again: its process number, whether it has all of its input, and
 * marks of its command line, since numbers come back. Only a hash of the line, which may hold what is nobody's business.
 */
import { createHash } from "node:crypto";
import { z } from "zod";

export interface CommandId {
  pid: number;
  isFed: boolean;
  marks: string[];
}

const schema = z.tuple([z.number().int().positive(), z.boolean(), z.array(z.string())]);

export const commandIdOf = ({ pid, isFed, marks }: CommandId): string => JSON.stringify([pid, isFed, marks]);

/** Undefined for a text that is none, such as one of another backend. */
export function parseCommandId(text: string): CommandId | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const { data } = schema.safeParse(value);
  return data && { pid: data[0], isFed: data[1], marks: data[2] };
}

export const markOf = (machineId: string, line: string): string =>
  createHash("sha256")
    .update(JSON.stringify([machineId, line]))
    .digest("hex")
    .slice(0, 16);

/** A service may list the whole line or the program alone. */
export const marksOf = (machineId: string, argv: readonly string[]): string[] =>
  [argv.join(" "), argv[0] ?? ""].map((line) => markOf(machineId, line));
