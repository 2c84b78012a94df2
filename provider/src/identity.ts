/**
 * Which machine is which: the idempotency key of the k-th machine that a resource of a stack has had. The size is
 * not in the key, so that a create that was interrupted is found again by a program that asks for another size.
 * See docs/decisions/0002-create-identity.md.
 */
import { createHash } from "node:crypto";

export interface ResourceIdentity {
  /** Random, made once for a stack's life, recorded in its state before any machine is made. */
  stackIdentity: string;
  urn: string;
}

/** The key with which generation `generation` of a resource is created; stable for ever. */
export function createKey({ stackIdentity, urn }: ResourceIdentity, generation: number): string {
  const parts = JSON.stringify([stackIdentity, urn, generation]);
  return `pm1-${createHash("sha256").update(parts).digest("hex")}`;
}
