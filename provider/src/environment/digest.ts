/**
 * One short text for everything that a golden snapshot is made from: another text means another snapshot. In states for
 * ever: a change in how it is made rebuilds every environment. Pure.
 */
import { createHash } from "node:crypto";
import { canonicalJson } from "../snapshot/canonical-json";

export const digestOf = (value: unknown): string =>
  `e1-${createHash("sha256").update(canonicalJson(value)).digest("hex").slice(0, 32)}`;
