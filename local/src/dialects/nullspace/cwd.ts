/** Where the commands of a machine start. */
import { posix } from "node:path";
import type { Violation } from "../../http-errors";
import { violation } from "../../http-violations";
import { nulViolations } from "./requests";

/** The vendor keeps it for itself. */
const reservedFolder = "/workspace/.nullspace";
const maxPathLength = 4096;

/** Absolute, without dots, doubled slashes and a slash at its end. */
export const normalCwd = (path: string): string => {
  const normal = posix.normalize(path).replace(/\/+$/, "");
  return normal === "" ? "/" : normal;
};

export function cwdViolations(value: unknown, location = "body.cwd"): Violation[] {
  if (typeof value !== "string") return [];
  if (value.includes("\0")) return nulViolations(location, value);
  if (!value.startsWith("/")) return [violation(location, "must be an absolute path")];
  if (value.length > maxPathLength) {
    return [violation(location, `must be at most ${String(maxPathLength)} characters long`)];
  }
  const path = normalCwd(value);
  return path === reservedFolder || path.startsWith(`${reservedFolder}/`)
    ? [violation(location, `${reservedFolder} is reserved`)]
    : [];
}
