/** Idempotency keys as the newest API generation wants them: UUIDv7, 32 hex digits, no hyphens. */
import { randomBytes } from "node:crypto";

/** A new key; keys made later sort later. */
export function makeIdempotencyKey(nowMs: number, random: Uint8Array = randomBytes(10)): string {
  const bytes = Buffer.alloc(16);
  bytes.writeUIntBE(nowMs, 0, 6);
  bytes.set(random.subarray(0, 10), 6);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x70, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  return bytes.toString("hex");
}
